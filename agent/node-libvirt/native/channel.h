#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "value.h"

namespace weft {

/** The end of a call, or a notice of a connection. */
struct Message {
  /** 0 for a notice. */
  double call = 0;
  /** Of a failed call; otherwise undefined. */
  bool failed = false;
  /** Result, error or payload. */
  Value value;
  /** Makes the result on the JavaScript thread, and only if the call still waits for it. */
  std::function<Message()> late;
  uint32_t connection = 0;
  const char* event = nullptr;
};

/**
 * The way from any thread to one JavaScript environment, over one ThreadSafeFunction. Invariants: messages arrive in the
 * order of Post; after Close, Post drops; the ThreadSafeFunction is touched only under the lock and only while open, as
 * Node frees it when the environment ends.
 */
class Channel {
 public:
  /** @param wanted tells on the JavaScript thread whether a call still waits, and forgets it. */
  static std::shared_ptr<Channel> Open(Napi::Env env, Napi::Function dispatch, std::function<bool(double)> wanted);

  void Post(Message message);
  /** Whether an idle channel keeps the process alive. JavaScript thread only. */
  void Hold(Napi::Env env, bool alive);
  /** The environment ends. JavaScript thread only. */
  void Close();

 private:
  static void Deliver(napi_env env, napi_value dispatch, void* context, void* data);
  void Drain(Napi::Env env, Napi::Function dispatch);

  std::mutex mutex_;
  bool open_ = false;
  bool signalled_ = false;
  std::vector<Message> queue_;
  napi_threadsafe_function function_ = nullptr;
  std::function<bool(double)> wanted_;
};

}  // namespace weft
