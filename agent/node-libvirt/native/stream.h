#pragma once

#include <libvirt/libvirt.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "handles.h"
#include "operation.h"

namespace weft {

/**
 * A non-blocking stream of libvirt. Bytes are taken from it on the event thread into a bounded buffer, and from there by
 * reads; a read that was withdrawn has taken nothing, as a read's bytes leave the buffer on the JavaScript thread only.
 */
class StreamHandle final : public Child, public std::enable_shared_from_this<StreamHandle> {
 public:
  /** Takes over `stream`. @throws Failure. */
  static std::shared_ptr<StreamHandle> Adopt(std::shared_ptr<ConnectionHandle> connection, virStreamPtr stream);
  StreamHandle(std::shared_ptr<ConnectionHandle> connection, std::shared_ptr<virStream> stream);
  ~StreamHandle() override;

  ConnectionHandle& connection() override { return *connection_; }
  std::shared_ptr<void> Surrender() override;
  void Lose() override;

  /** Posts the end of this call when there is something to read. JavaScript thread. */
  void Read(double call);
  /** Worker thread; returns when libvirt has taken everything. @throws Failure. */
  void Write(const Bytes& bytes);
  /** Worker thread. */
  void Close();

 private:
  static void OnEvent(virStreamPtr stream, int events, void* opaque);
  /** These with the lock held. @param limit of the buffer. */
  void Fill(virStreamPtr stream, size_t limit);
  void Listen();
  void Answer();
  Message Take();

  const std::shared_ptr<ConnectionHandle> connection_;
  const uintptr_t number_;
  std::mutex mutex_;
  std::condition_variable writable_;
  std::shared_ptr<virStream> stream_;
  std::deque<uint8_t> buffer_;
  std::optional<double> reader_;
  std::optional<Failure> failure_;
  bool ended_ = false;
  bool writing_ = false;
  int listening_ = 0;
};

void AddStreamOperations(Operations& operations);

}  // namespace weft
