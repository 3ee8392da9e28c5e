#include "glib-original.h"

/**
 * A remedy for a wake-up that libvirt's client loses (seen with Debian 12's 9.0). Of the threads that wait for answers on
 * one connection one runs the loop that reads and writes for all; a thread with a new call tells that loop to end, so that the
 * call is sent. The loop's thread lets go of the connection's lock a moment before it runs, and a loop that does not run yet
 * takes no notice of being ended: the call then stays unsent until something else comes in, at worst the next keep-alive.
 *
 * Told by another thread, a loop is ended from within here, by a source that waits in its context for the next run. A loop
 * that is ended once too often looks for work and runs again; a libvirt that loses nothing loses nothing by it.
 */

extern "C" {
__attribute__((visibility("default"))) void g_main_loop_quit(_GMainLoop* loop);
}

namespace {

using weft::glib::Original;

void Quit(_GMainLoop* loop) {
  static auto* const original = Original<void(_GMainLoop*)>("g_main_loop_quit");
  original(loop);
}

/** Runs in the loop's own thread, and once. */
int QuitOnce(void* loop) {
  Quit(static_cast<_GMainLoop*>(loop));
  return 0;
}

/** The loop is not held: its client has it for as long as the context, and what waits there runs in that loop only. */
void QuitFromWithin(_GMainLoop* loop, _GMainContext* context) {
  static auto* const make = Original<_GSource*()>("g_idle_source_new");
  static auto* const set_callback =
      Original<void(_GSource*, int (*)(void*), void*, void (*)(void*))>("g_source_set_callback");
  static auto* const attach = Original<unsigned int(_GSource*, _GMainContext*)>("g_source_attach");
  static auto* const unref = Original<void(_GSource*)>("g_source_unref");
  _GSource* const source = make();
  set_callback(source, QuitOnce, loop, nullptr);
  attach(source, context);
  unref(source);
}

}  // namespace

void g_main_loop_quit(_GMainLoop* loop) {
  static auto* const context_of = Original<_GMainContext*(_GMainLoop*)>("g_main_loop_get_context");
  static auto* const is_owner = Original<int(_GMainContext*)>("g_main_context_is_owner");
  _GMainContext* const context = context_of(loop);
  if (is_owner(context) != 0)
    Quit(loop);
  else
    QuitFromWithin(loop, context);
}
