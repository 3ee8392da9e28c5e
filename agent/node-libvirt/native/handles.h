#pragma once

#include <libvirt/libvirt.h>

#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "channel.h"
#include "worker-pool.h"

namespace weft {

class ConnectionHandle;

/** What an External of JavaScript owns. Its end may come on any thread and never blocks. */
class Handle {
 public:
  virtual ~Handle() = default;
  /** The connection whose threads do its calls. */
  virtual ConnectionHandle& connection() = 0;
};

/** Something of a connection that close() frees. */
class Child : public Handle {
 public:
  /** Hands over what is to be freed, with the connection's lock held. */
  virtual std::shared_ptr<void> Surrender() = 0;
  /** The daemon is gone; with the connection's lock held. */
  virtual void Lose() {}
};

class ConnectionHandle final : public Handle, public std::enable_shared_from_this<ConnectionHandle> {
 public:
  ConnectionHandle(std::shared_ptr<Channel> channel, uint32_t number, size_t workers);
  /** Leaves freeing, which may wait for the daemon, to a worker. */
  ~ConnectionHandle() override;

  ConnectionHandle& connection() override { return *this; }
  const std::shared_ptr<WorkerPool>& pool() const { return pool_; }
  const std::shared_ptr<Channel>& channel() const { return channel_; }
  uint32_t number() const { return number_; }

  /** A share that keeps the connection open for one job. @throws Failure when closed. */
  std::shared_ptr<virConnect> Acquire();
  void Adopt(std::shared_ptr<virConnect> pointer);
  /** Frees the connection and everything of it that no job is using. Worker threads only. */
  void Close();

  /** libvirt has told that the daemon is gone. Any thread. */
  void TellLost();

  /** @throws Failure when closed. */
  void Register(Child* child);
  void Unregister(Child* child);

  std::mutex& mutex() { return mutex_; }

 private:
  const std::shared_ptr<Channel> channel_;
  const std::shared_ptr<WorkerPool> pool_;
  const uint32_t number_;
  std::mutex mutex_;
  std::shared_ptr<virConnect> pointer_;
  std::unordered_set<Child*> children_;
  bool closed_ = false;
};

/** A domain or a network: a pointer of libvirt's that is freed when the last job using it, and JavaScript, let go. */
template <typename Pointer, int (*Free)(Pointer*)>
class Resource final : public Child {
 public:
  /** Takes over `pointer`, also when it throws. @throws Failure when the connection was closed meanwhile. */
  static std::shared_ptr<Resource> Adopt(std::shared_ptr<ConnectionHandle> connection, Pointer* pointer) {
    return std::make_shared<Resource>(std::move(connection),
                                      std::shared_ptr<Pointer>(pointer, [](Pointer* held) { Free(held); }));
  }

  Resource(std::shared_ptr<ConnectionHandle> connection, std::shared_ptr<Pointer> pointer)
      : connection_(std::move(connection)), pointer_(std::move(pointer)) {
    connection_->Register(this);
  }
  ~Resource() override { connection_->Unregister(this); }

  ConnectionHandle& connection() override { return *connection_; }

  /** A share for one job. @throws Failure when closed. */
  std::shared_ptr<Pointer> Acquire();

  std::shared_ptr<void> Surrender() override { return std::move(pointer_); }

 private:
  // Order matters: the pointer ends before the connection it belongs to.
  const std::shared_ptr<ConnectionHandle> connection_;
  std::shared_ptr<Pointer> pointer_;
};

using DomainHandle = Resource<virDomain, virDomainFree>;
using NetworkHandle = Resource<virNetwork, virNetworkFree>;

/** `{handle, name, uuid}`; takes over the pointer. */
Value DescribeDomain(ConnectionHandle& connection, virDomainPtr domain);
Value DescribeNetwork(ConnectionHandle& connection, virNetworkPtr network);

}  // namespace weft
