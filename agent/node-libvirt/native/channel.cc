#include "channel.h"

namespace weft {

namespace {

/** Bounds the handles that one batch keeps alive. */
constexpr size_t kBatch = 512;

Napi::Object Describe(Napi::Env env, const Message& message) {
  auto object = Napi::Object::New(env);
  if (message.event != nullptr) {
    object.Set("connection", Napi::Number::New(env, message.connection));
    object.Set("event", Napi::String::New(env, message.event));
    object.Set("payload", message.value.ToJavaScript(env));
    return object;
  }
  object.Set("call", Napi::Number::New(env, message.call));
  object.Set(message.failed ? "error" : "value", message.value.ToJavaScript(env));
  return object;
}

}  // namespace

std::shared_ptr<Channel> Channel::Open(Napi::Env env, Napi::Function dispatch, std::function<bool(double)> wanted) {
  auto channel = std::make_shared<Channel>();
  channel->wanted_ = std::move(wanted);
  // The function's context owns a share, so that its last callbacks find the channel whoever else has let go.
  auto* context = new std::shared_ptr<Channel>(channel);
  const napi_status status = napi_create_threadsafe_function(
      env, dispatch, nullptr, Napi::String::New(env, "libvirt"), 0, 1, nullptr,
      [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<Channel>*>(hint); }, context, Deliver,
      &channel->function_);
  if (status != napi_ok) {
    delete context;
    throw Napi::Error::New(env, "libvirt: cannot make a thread-safe function");
  }
  napi_unref_threadsafe_function(env, channel->function_);
  channel->open_ = true;
  return channel;
}

void Channel::Post(Message message) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!open_) return;
  queue_.push_back(std::move(message));
  if (signalled_) return;
  signalled_ = true;
  napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
}

void Channel::Hold(Napi::Env env, bool alive) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!open_) return;
  if (alive) {
    napi_ref_threadsafe_function(env, function_);
  } else {
    napi_unref_threadsafe_function(env, function_);
  }
}

void Channel::Close() {
  std::vector<Message> dropped;
  std::lock_guard<std::mutex> lock(mutex_);
  open_ = false;
  dropped.swap(queue_);
}

void Channel::Deliver(napi_env env, napi_value dispatch, void* context, void*) {
  // Without an environment Node is only emptying its queue.
  if (env == nullptr || dispatch == nullptr) return;
  const std::shared_ptr<Channel> channel = *static_cast<std::shared_ptr<Channel>*>(context);
  channel->Drain(Napi::Env(env), Napi::Function(env, dispatch));
}

void Channel::Drain(Napi::Env env, Napi::Function dispatch) {
  std::vector<Message> messages;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    signalled_ = false;
    messages.swap(queue_);
  }
  for (size_t start = 0; start < messages.size(); start += kBatch) {
    const size_t end = std::min(messages.size(), start + kBatch);
    try {
      Napi::HandleScope scope(env);
      auto batch = Napi::Array::New(env);
      uint32_t length = 0;
      for (size_t index = start; index < end; ++index) {
        Message& message = messages[index];
        if (message.event == nullptr && !wanted_(message.call)) continue;
        if (message.late) {
          Message made = message.late();
          made.call = message.call;
          message = std::move(made);
        }
        batch.Set(length++, Describe(env, message));
      }
      if (length > 0) dispatch.Call({batch});
    } catch (const Napi::Error&) {
      // Only an environment that is being torn down refuses these calls: `dispatch` itself catches everything.
      return;
    }
  }
}

}  // namespace weft
