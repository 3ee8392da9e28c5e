#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace weft {

/** One piece of work that may block in libvirt. Its state is guarded by its pool's lock. */
struct Job {
  std::function<void(const Job&)> work;
  bool running = false;
  bool withdrawn = false;
};

/**
 * The private threads of one connection. Threads are detached and share ownership of the pool, so it lives as long as
 * the last of them, however long libvirt holds it. A withdrawn job that libvirt still holds no longer counts against the
 * limit: another thread takes its place, so calls that hang never use up the pool.
 */
class WorkerPool : public std::enable_shared_from_this<WorkerPool> {
 public:
  explicit WorkerPool(size_t limit) : limit_(limit) {}

  void Submit(std::shared_ptr<Job> job);
  /** Removes a waiting job; marks a running one. */
  void Withdraw(const std::shared_ptr<Job>& job);
  /** No more jobs will come: the threads end when the queue is empty. */
  void Stop();

 private:
  void Run();
  /** With the lock held. */
  void SpawnIfNeeded();

  const size_t limit_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> queue_;
  size_t threads_ = 0;
  size_t idle_ = 0;
  size_t withdrawn_ = 0;
  bool stopping_ = false;
};

}  // namespace weft
