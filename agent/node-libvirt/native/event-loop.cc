#include "event-loop.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "threads.h"

namespace weft::event_loop {

namespace {

void Run() {
  NameThread("libvirt-events");
  for (;;) {
    if (virEventRunDefaultImpl() < 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

/** The error is in the caller's hands; libvirt's own habit is to print it. */
void Silence(void*, virErrorPtr) {}

}  // namespace

void Ensure() {
  static std::once_flag once;
  std::call_once(once, [] {
    virInitialize();
    virSetErrorFunc(nullptr, Silence);
    virEventRegisterDefaultImpl();
    SpawnDetached(Run);
  });
}

}  // namespace weft::event_loop
