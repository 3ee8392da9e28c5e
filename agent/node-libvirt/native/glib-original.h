#pragma once

#include <dlfcn.h>

extern "C" {
struct _GSource;
struct _GMainContext;
struct _GMainLoop;
}

/**
 * libvirt calls GLib through the dynamic linker, which looks in this addon before it looks in GLib, as the addon is what
 * brought libvirt into the process. So a function of GLib's name here stands before GLib's own, which it calls by this.
 */
namespace weft::glib {

template <typename Function>
Function* Original(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace weft::glib
