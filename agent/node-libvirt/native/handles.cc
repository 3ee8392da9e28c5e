#include "handles.h"

#include "errors.h"
#include "registry.h"

namespace weft {

ConnectionHandle::ConnectionHandle(std::shared_ptr<Channel> channel, uint32_t number, size_t workers)
    : channel_(std::move(channel)), pool_(std::make_shared<WorkerPool>(workers)), number_(number) {}

ConnectionHandle::~ConnectionHandle() {
  Registry<ConnectionHandle>::Get().Remove(number_);
  if (pointer_) {
    auto job = std::make_shared<Job>();
    job->work = [pointer = std::move(pointer_)](const Job&) mutable { pointer.reset(); };
    try {
      pool_->Submit(std::move(job));
    } catch (const std::system_error&) {
      // Out of threads: the connection leaks, which harms less than blocking here.
    }
  }
  pool_->Stop();
}

std::shared_ptr<virConnect> ConnectionHandle::Acquire() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!pointer_) ThrowClosed("the connection");
  return pointer_;
}

void ConnectionHandle::Adopt(std::shared_ptr<virConnect> pointer) {
  std::lock_guard<std::mutex> lock(mutex_);
  pointer_ = std::move(pointer);
}

void ConnectionHandle::Close() {
  // Freed in order: children, then the connection, and outside the lock, as freeing may wait for the daemon.
  std::shared_ptr<virConnect> pointer;
  std::vector<std::shared_ptr<void>> surrendered;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    pointer = std::move(pointer_);
    for (Child* child : children_) surrendered.push_back(child->Surrender());
    children_.clear();
  }
  surrendered.clear();
  pointer.reset();
  // Its threads end now, not when JavaScript collects the handle; a later call finds a thread for its refusal.
  pool_->Stop();
}

void ConnectionHandle::TellLost() {
  std::lock_guard<std::mutex> lock(mutex_);
  for (Child* child : children_) child->Lose();
}

void ConnectionHandle::Register(Child* child) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) ThrowClosed("the connection");
  children_.insert(child);
}

void ConnectionHandle::Unregister(Child* child) {
  std::lock_guard<std::mutex> lock(mutex_);
  children_.erase(child);
}

template <typename Pointer, int (*Free)(Pointer*)>
std::shared_ptr<Pointer> Resource<Pointer, Free>::Acquire() {
  std::lock_guard<std::mutex> lock(connection_->mutex());
  if (!pointer_) ThrowClosed("the connection");
  return pointer_;
}

template class Resource<virDomain, virDomainFree>;
template class Resource<virNetwork, virNetworkFree>;

Value DescribeDomain(ConnectionHandle& connection, virDomainPtr domain) {
  auto handle = DomainHandle::Adopt(connection.shared_from_this(), domain);
  const auto pointer = handle->Acquire();
  char uuid[VIR_UUID_STRING_BUFLEN];
  Check(virDomainGetUUIDString(pointer.get(), uuid));
  const char* name = virDomainGetName(pointer.get());
  return Value::Record(
      {{"handle", Value::Of(std::move(handle))}, {"name", Value::Text(name)}, {"uuid", Value::String(uuid)}});
}

Value DescribeNetwork(ConnectionHandle& connection, virNetworkPtr network) {
  auto handle = NetworkHandle::Adopt(connection.shared_from_this(), network);
  const auto pointer = handle->Acquire();
  char uuid[VIR_UUID_STRING_BUFLEN];
  Check(virNetworkGetUUIDString(pointer.get(), uuid));
  const char* name = virNetworkGetName(pointer.get());
  return Value::Record(
      {{"handle", Value::Of(std::move(handle))}, {"name", Value::Text(name)}, {"uuid", Value::String(uuid)}});
}

}  // namespace weft
