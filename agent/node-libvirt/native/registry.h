#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace weft {

/**
 * Things by number. A callback of libvirt's keeps the number only: the thing may be gone when the callback comes, and not
 * every driver calls the free function of what a callback keeps (remote streams before libvirt 11.6, close callbacks of
 * local drivers).
 */
template <typename T>
class Registry {
 public:
  static Registry& Get() {
    // Never destroyed: the event thread outlives the end of the process's static objects.
    static auto* registry = new Registry;
    return *registry;
  }

  uintptr_t NextNumber() {
    std::lock_guard<std::mutex> lock(mutex_);
    return ++last_;
  }
  void Add(uintptr_t number, std::weak_ptr<T> thing) {
    std::lock_guard<std::mutex> lock(mutex_);
    things_[number] = std::move(thing);
  }
  void Remove(uintptr_t number) {
    std::lock_guard<std::mutex> lock(mutex_);
    things_.erase(number);
  }
  /** Null when it is gone. */
  std::shared_ptr<T> Find(void* opaque) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = things_.find(reinterpret_cast<uintptr_t>(opaque));
    return found == things_.end() ? nullptr : found->second.lock();
  }

 private:
  std::mutex mutex_;
  uintptr_t last_ = 0;
  std::unordered_map<uintptr_t, std::weak_ptr<T>> things_;
};

}  // namespace weft
