#include "worker-pool.h"

#include <libvirt/virterror.h>

#include <algorithm>

#include "threads.h"

namespace weft {

namespace {

/** Bounds the threads that a daemon which never answers can cost; beyond it, jobs wait. */
constexpr size_t kMaximumWithdrawn = 256;

}  // namespace

void WorkerPool::Submit(std::shared_ptr<Job> job) {
  std::lock_guard<std::mutex> lock(mutex_);
  queue_.push_back(std::move(job));
  SpawnIfNeeded();
  wake_.notify_one();
}

void WorkerPool::Withdraw(const std::shared_ptr<Job>& job) {
  // Keeps the job's captures alive until after the lock is released: their ends may come back here.
  std::shared_ptr<Job> removed;
  std::lock_guard<std::mutex> lock(mutex_);
  if (job->withdrawn) return;
  job->withdrawn = true;
  if (job->running) {
    ++withdrawn_;
    SpawnIfNeeded();
    return;
  }
  const auto found = std::find(queue_.begin(), queue_.end(), job);
  if (found == queue_.end()) return;
  removed = std::move(*found);
  queue_.erase(found);
}

void WorkerPool::Stop() {
  std::lock_guard<std::mutex> lock(mutex_);
  stopping_ = true;
  wake_.notify_all();
}

void WorkerPool::SpawnIfNeeded() {
  if (queue_.size() <= idle_ || threads_ - withdrawn_ >= limit_ || withdrawn_ > kMaximumWithdrawn) return;
  try {
    SpawnDetached([pool = shared_from_this()] { pool->Run(); });
    ++threads_;
  } catch (const std::system_error&) {
    // Out of threads: one that runs will take the job; with none at all there is nobody left to answer.
    if (threads_ == 0) throw;
  }
}

void WorkerPool::Run() {
  NameThread("libvirt-worker");
  std::unique_lock<std::mutex> lock(mutex_);
  while (threads_ - withdrawn_ <= limit_) {
    if (queue_.empty()) {
      if (stopping_) break;
      ++idle_;
      wake_.wait(lock);
      --idle_;
      continue;
    }
    std::shared_ptr<Job> job = std::move(queue_.front());
    queue_.pop_front();
    job->running = true;
    lock.unlock();
    virResetLastError();
    job->work(*job);
    // What the job holds may end with it, and ends take locks, this one among them.
    job->work = nullptr;
    lock.lock();
    job->running = false;
    if (job->withdrawn) --withdrawn_;
  }
  --threads_;
}

}  // namespace weft
