#include <libvirt/virterror.h>
#include <napi.h>

#include <memory>
#include <unordered_map>
#include <vector>

#include "operation.h"
#include "stream.h"

namespace weft {

namespace {

class Session;

/** What one exported function does, and for whom. */
struct Bound {
  Session* session;
  const Operation* operation;
};

/**
 * The calls that one `start` has under way. Each start is apart from every other, as two copies of the JavaScript may
 * share a process, and each lives until its environment ends. Only that environment's thread touches it.
 */
class Session {
 public:
  Session(Napi::Env env, Napi::Function dispatch)
      : channel_(Channel::Open(env, dispatch, [this](double call) { return pending_.erase(call) > 0; })) {
    env.AddCleanupHook([channel = channel_] { channel->Close(); });
  }

  const std::shared_ptr<Channel>& channel() const { return channel_; }

  Bound* Bind(const Operation* operation) {
    bound_.push_back(std::make_unique<Bound>(Bound{this, operation}));
    return bound_.back().get();
  }

  void Submit(double call, Prepared prepared, bool irrevocable) {
    auto job = std::make_shared<Job>();
    job->work = [channel = channel_, call, task = std::move(prepared.task)](const Job&) {
      Message message;
      message.call = call;
      try {
        message.value = task();
      } catch (const Failure& failure) {
        message.failed = true;
        message.value = failure.ToValue();
      } catch (const std::exception& error) {
        message.failed = true;
        message.value = Failure{VIR_ERR_INTERNAL_ERROR, VIR_FROM_NONE, VIR_ERR_ERROR, error.what()}.ToValue();
      }
      channel->Post(std::move(message));
    };
    pending_[call] = {prepared.pool, irrevocable ? nullptr : job};
    prepared.pool->Submit(std::move(job));
  }

  /** A call that no worker does: something else will post its end. */
  void Await(double call) { pending_[call] = {}; }

  void Cancel(double call) {
    const auto found = pending_.find(call);
    if (found == pending_.end()) return;
    const Pending pending = std::move(found->second);
    pending_.erase(found);
    if (pending.job) pending.pool->Withdraw(pending.job);
  }

 private:
  struct Pending {
    std::shared_ptr<WorkerPool> pool;
    /** Null for a call that cannot be withdrawn. */
    std::shared_ptr<Job> job;
  };

  std::vector<std::unique_ptr<Bound>> bound_;
  std::unordered_map<double, Pending> pending_;
  const std::shared_ptr<Channel> channel_;
};

using Sessions = std::vector<std::unique_ptr<Session>>;

Bound& BoundTo(const Napi::CallbackInfo& info) { return *static_cast<Bound*>(info.Data()); }

void Call(const Napi::CallbackInfo& info) {
  const Bound& bound = BoundTo(info);
  const Arguments arguments(info, bound.session->channel());
  try {
    bound.session->Submit(arguments.call(), bound.operation->prepare(arguments), bound.operation->irrevocable);
  } catch (const std::system_error& error) {
    bound.session->Cancel(arguments.call());
    throw Napi::Error::New(info.Env(), error.what());
  }
}

/** Reading a stream takes no worker: bytes come from the event thread. */
void ReadStream(const Napi::CallbackInfo& info) {
  Session* session = BoundTo(info).session;
  const Arguments arguments(info, session->channel());
  const auto stream = arguments.Get<StreamHandle>(1);
  session->Await(arguments.call());
  stream->Read(arguments.call());
}

void Hold(const Napi::CallbackInfo& info) {
  BoundTo(info).session->channel()->Hold(info.Env(), info[0].ToBoolean());
}

void Cancel(const Napi::CallbackInfo& info) {
  BoundTo(info).session->Cancel(info[0].As<Napi::Number>().DoubleValue());
}

const Operations& AllOperations() {
  static const Operations operations = [] {
    Operations all;
    AddConnectionOperations(all);
    AddDomainOperations(all);
    AddLifecycleOperations(all);
    AddJobOperations(all);
    AddDeviceOperations(all);
    AddNetworkOperations(all);
    AddSecretOperations(all);
    AddStreamOperations(all);
    return all;
  }();
  return operations;
}

Napi::Value Start(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto* sessions = env.GetInstanceData<Sessions>();
  sessions->push_back(std::make_unique<Session>(env, info[0].As<Napi::Function>()));
  Session* session = sessions->back().get();
  auto functions = Napi::Object::New(env);
  const auto add = [&](const char* name, void (*function)(const Napi::CallbackInfo&), const Operation* operation) {
    functions.Set(name, Napi::Function::New(env, function, name, session->Bind(operation)));
  };
  for (const Operation& operation : AllOperations()) add(operation.name, Call, &operation);
  add("streamRead", ReadStream, nullptr);
  add("hold", Hold, nullptr);
  add("cancel", Cancel, nullptr);
  return functions;
}

Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Sessions());
  exports.Set("start", Napi::Function::New(env, Start, "start"));
  return exports;
}

}  // namespace

NODE_API_MODULE(libvirt, Initialize)

}  // namespace weft
