#include <algorithm>
#include <vector>

#include "glib-original.h"

/**
 * A remedy for CVE-2024-4418, which libvirt's client has before 10.4 (Debian 12 has 9.0): a thread that waits for an
 * answer gives GLib a source whose data is on its own stack, and when another thread interrupts the wait, the source stays
 * behind. A later wait of another thread on the same connection runs it and writes where that stack was. It takes several
 * calls at once on a connection that is lost, so programs with threads meet it.
 *
 * What a thread gave to a context is taken out of it when that thread's wait is over, which is what libvirt itself does since
 * 10.4. With a fixed libvirt this changes nothing: what was destroyed already is destroyed once more, which GLib allows.
 */

extern "C" {
__attribute__((visibility("default"))) unsigned int g_source_attach(_GSource* source, _GMainContext* context);
__attribute__((visibility("default"))) void g_main_loop_run(_GMainLoop* loop);
}

namespace {

using weft::glib::Original;

void Release(_GSource* source) {
  static auto* const unref = Original<void(_GSource*)>("g_source_unref");
  unref(source);
}

/** A thread waits on one context at a time; what it gave to another meanwhile only woke up who waits there. */
constexpr size_t kRemembered = 8;

struct Given {
  _GSource* source;
  _GMainContext* context;
};

/** Sources that this thread gave to contexts of libvirt's clients, latest last; each is held. */
class Memory {
 public:
  ~Memory() {
    for (const Given& each : given_) Release(each.source);
  }
  void Add(_GSource* source, _GMainContext* context) {
    static auto* const ref = Original<_GSource*(_GSource*)>("g_source_ref");
    given_.push_back({ref(source), context});
    if (given_.size() <= kRemembered) return;
    Release(given_.front().source);
    given_.erase(given_.begin());
  }
  void Destroy(_GMainContext* context) {
    static auto* const destroy = Original<void(_GSource*)>("g_source_destroy");
    for (const Given& each : given_) {
      if (each.context != context) continue;
      destroy(each.source);
      Release(each.source);
    }
    given_.erase(std::remove_if(given_.begin(), given_.end(),
                                [context](const Given& each) { return each.context == context; }),
                 given_.end());
  }

 private:
  std::vector<Given> given_;
};

thread_local Memory memory;

}  // namespace

unsigned int g_source_attach(_GSource* source, _GMainContext* context) {
  static auto* const original = Original<unsigned int(_GSource*, _GMainContext*)>("g_source_attach");
  // The default context is that of the event thread, whose sources stay until they are removed.
  if (context != nullptr) memory.Add(source, context);
  return original(source, context);
}

void g_main_loop_run(_GMainLoop* loop) {
  static auto* const original = Original<void(_GMainLoop*)>("g_main_loop_run");
  static auto* const context_of = Original<_GMainContext*(_GMainLoop*)>("g_main_loop_get_context");
  original(loop);
  memory.Destroy(context_of(loop));
}
