#pragma once

#include <napi.h>

#include <climits>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "errors.h"
#include "handles.h"

namespace weft {

/** The arguments of one operation, read on the JavaScript thread. The first is the call's number. @throws Napi::TypeError. */
class Arguments {
 public:
  Arguments(const Napi::CallbackInfo& info, std::shared_ptr<Channel> channel)
      : info_(info), channel_(std::move(channel)) {}

  double call() const { return info_[0].As<Napi::Number>().DoubleValue(); }
  const std::shared_ptr<Channel>& channel() const { return channel_; }

  template <typename T>
  std::shared_ptr<T> Get(size_t index) const {
    if (info_[index].IsExternal()) {
      const auto& held = *info_[index].As<Napi::External<std::shared_ptr<Handle>>>().Data();
      if (auto wanted = std::dynamic_pointer_cast<T>(held)) return wanted;
    }
    throw Refusal(index, "a handle of the right kind");
  }
  std::string Text(size_t index) const {
    if (!info_[index].IsString()) throw Refusal(index, "a string");
    std::string text = info_[index].As<Napi::String>().Utf8Value();
    // libvirt would read only what is before it: another name than the caller meant.
    if (text.find('\0') != std::string::npos) throw Refusal(index, "a string without a zero character");
    return text;
  }
  std::optional<std::string> MaybeText(size_t index) const {
    if (info_[index].IsNull() || info_[index].IsUndefined()) return std::nullopt;
    return Text(index);
  }
  int Integer(size_t index) const { return static_cast<int>(Whole(index, INT_MIN, INT_MAX)); }
  /** JavaScript's own operators make a negative number of flags with the highest bit. */
  unsigned int Flags(size_t index) const { return static_cast<unsigned int>(Whole(index, INT_MIN, UINT_MAX)); }
  bool Boolean(size_t index) const { return info_[index].ToBoolean(); }
  Napi::Value Raw(size_t index) const { return info_[index]; }

 private:
  int64_t Whole(size_t index, double least, double most) const {
    const double value = info_[index].IsNumber() ? info_[index].As<Napi::Number>().DoubleValue() : std::nan("");
    if (!(value >= least && value <= most) || value != std::trunc(value)) throw Refusal(index, "a 32-bit integer");
    return static_cast<int64_t>(value);
  }
  Napi::TypeError Refusal(size_t index, const char* wanted) const {
    return Napi::TypeError::New(info_.Env(), "argument " + std::to_string(index) + " must be " + wanted);
  }

  const Napi::CallbackInfo& info_;
  const std::shared_ptr<Channel> channel_;
};

/** What a worker thread does for a call. It owns shares of every handle it uses, so nothing in use can be freed. @throws Failure. */
using Task = std::function<Value()>;

struct Prepared {
  std::shared_ptr<WorkerPool> pool;
  Task task;
};

struct Operation {
  const char* name;
  Prepared (*prepare)(const Arguments&);
  /** Withdrawn, it still runs: what it frees would be lost otherwise. */
  bool irrevocable = false;
};
using Operations = std::vector<Operation>;

/** A task on one domain, network or connection: its pointer is acquired on the worker. */
template <typename T, typename Body>
Prepared On(std::shared_ptr<T> handle, Body body) {
  auto pool = handle->connection().pool();
  return {std::move(pool), [handle = std::move(handle), body = std::move(body)] {
            const auto pointer = handle->Acquire();
            return body(pointer.get());
          }};
}

inline const char* Characters(const std::optional<std::string>& text) { return text ? text->c_str() : nullptr; }

void AddConnectionOperations(Operations& operations);
void AddDomainOperations(Operations& operations);
void AddLifecycleOperations(Operations& operations);
void AddJobOperations(Operations& operations);
void AddDeviceOperations(Operations& operations);
void AddNetworkOperations(Operations& operations);
void AddSecretOperations(Operations& operations);

}  // namespace weft
