#include "stream.h"

#include <libvirt/virterror.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "registry.h"

namespace weft {

namespace {

constexpr size_t kReadSize = 64 * 1024;
constexpr size_t kBufferSize = 256 * 1024;

using Streams = Registry<StreamHandle>;

}  // namespace

std::shared_ptr<StreamHandle> StreamHandle::Adopt(std::shared_ptr<ConnectionHandle> connection, virStreamPtr stream) {
  auto handle = std::make_shared<StreamHandle>(
      std::move(connection), std::shared_ptr<virStream>(stream, [](virStreamPtr held) { virStreamFree(held); }));
  const std::shared_ptr<virStream> pointer = handle->stream_;
  const int events = VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP;
  // Before the first event can come, which changes it.
  handle->listening_ = events;
  Streams::Get().Add(handle->number_, handle);
  Check(virStreamEventAddCallback(pointer.get(), events, OnEvent, reinterpret_cast<void*>(handle->number_), nullptr));
  return handle;
}

StreamHandle::StreamHandle(std::shared_ptr<ConnectionHandle> connection, std::shared_ptr<virStream> stream)
    : connection_(std::move(connection)), number_(Streams::Get().NextNumber()), stream_(std::move(stream)) {
  connection_->Register(this);
}

StreamHandle::~StreamHandle() {
  Streams::Get().Remove(number_);
  connection_->Unregister(this);
  // An abandoned stream: libvirt's own end may wait for the daemon, so a worker does it.
  if (!stream_) return;
  auto job = std::make_shared<Job>();
  job->work = [stream = std::move(stream_)](const Job&) mutable {
    virStreamEventRemoveCallback(stream.get());
    virStreamAbort(stream.get());
    stream.reset();
  };
  try {
    connection_->pool()->Submit(std::move(job));
  } catch (const std::system_error&) {
    // Out of threads: the stream leaks, which harms less than blocking here.
  }
}

std::shared_ptr<void> StreamHandle::Surrender() {
  std::lock_guard<std::mutex> lock(mutex_);
  ended_ = true;
  writable_.notify_all();
  Answer();
  if (!stream_) return nullptr;
  return std::shared_ptr<void>(nullptr, [stream = std::move(stream_)](void*) {
    virStreamEventRemoveCallback(stream.get());
    virStreamAbort(stream.get());
  });
}

/** libvirt does not tell the streams of a connection that its daemon is gone. */
void StreamHandle::Lose() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!ended_) failure_ = Failure{VIR_ERR_INVALID_STREAM, VIR_FROM_STREAMS, VIR_ERR_ERROR, "the stream's connection was lost"};
  ended_ = true;
  writable_.notify_all();
  Answer();
}

void StreamHandle::OnEvent(virStreamPtr stream, int events, void* opaque) {
  const auto handle = Streams::Get().Find(opaque);
  if (!handle) return;
  std::lock_guard<std::mutex> lock(handle->mutex_);
  if (events & VIR_STREAM_EVENT_READABLE) handle->Fill(stream, kBufferSize);
  if (events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP)) {
    // Nothing more will come, so what is there is taken whole.
    handle->Fill(stream, std::numeric_limits<size_t>::max());
    handle->ended_ = true;
  }
  if (events & VIR_STREAM_EVENT_WRITABLE) handle->writing_ = false;
  handle->writable_.notify_all();
  handle->Answer();
  handle->Listen();
}

void StreamHandle::Fill(virStreamPtr stream, size_t limit) {
  std::vector<char> chunk(kReadSize);
  while (!ended_ && buffer_.size() < limit) {
    const int received = virStreamRecv(stream, chunk.data(), chunk.size());
    if (received == -2) return;
    if (received < 0) {
      failure_ = LastFailure();
      virResetLastError();
    }
    if (received <= 0) {
      ended_ = true;
      return;
    }
    buffer_.insert(buffer_.end(), chunk.begin(), chunk.begin() + received);
  }
}

/** Asks only for what can be taken now: an event that nobody acts on would come for ever. */
void StreamHandle::Listen() {
  if (!stream_) return;
  int wanted = 0;
  if (!ended_) {
    wanted = VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP;
    if (buffer_.size() < kBufferSize) wanted |= VIR_STREAM_EVENT_READABLE;
    if (writing_) wanted |= VIR_STREAM_EVENT_WRITABLE;
  }
  if (wanted == listening_) return;
  listening_ = wanted;
  virStreamEventUpdateCallback(stream_.get(), wanted);
}

void StreamHandle::Read(double call) {
  std::lock_guard<std::mutex> lock(mutex_);
  reader_ = call;
  Answer();
}

void StreamHandle::Answer() {
  if (!reader_ || (buffer_.empty() && !ended_)) return;
  // None while the stream ends because nobody holds it: then nobody waits for the answer either.
  auto handle = weak_from_this().lock();
  if (!handle) return;
  Message message;
  message.call = *reader_;
  message.late = [handle = std::move(handle)] { return handle->Take(); };
  reader_.reset();
  connection_->channel()->Post(std::move(message));
}

Message StreamHandle::Take() {
  std::lock_guard<std::mutex> lock(mutex_);
  Message message;
  if (!buffer_.empty()) {
    const size_t size = std::min(buffer_.size(), kReadSize);
    message.value = Value::Buffer(Bytes(buffer_.begin(), buffer_.begin() + size));
    buffer_.erase(buffer_.begin(), buffer_.begin() + size);
    Listen();
  } else if (failure_) {
    message.failed = true;
    message.value = failure_->ToValue();
    failure_.reset();
  } else {
    message.value = Value::Null();
  }
  return message;
}

void StreamHandle::Write(const Bytes& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    std::unique_lock<std::mutex> lock(mutex_);
    const std::shared_ptr<virStream> stream = stream_;
    if (!stream || ended_) ThrowClosed("the stream");
    lock.unlock();
    const int result =
        virStreamSend(stream.get(), reinterpret_cast<const char*>(bytes.data()) + sent, bytes.size() - sent);
    if (result >= 0) {
      sent += static_cast<size_t>(result);
      continue;
    }
    if (result != -2) ThrowLastError();
    lock.lock();
    writing_ = true;
    Listen();
    writable_.wait(lock, [this] { return !writing_ || ended_ || !stream_; });
  }
}

void StreamHandle::Close() {
  std::shared_ptr<virStream> stream;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stream = std::move(stream_);
    ended_ = true;
    writable_.notify_all();
    Answer();
  }
  if (!stream) return;
  virStreamEventRemoveCallback(stream.get());
  if (virStreamFinish(stream.get()) < 0) virResetLastError();
}

namespace {

Prepared WriteStream(const Arguments& arguments) {
  auto stream = arguments.Get<StreamHandle>(1);
  const auto data = arguments.Raw(2).As<Napi::Uint8Array>();
  auto bytes = std::make_shared<Bytes>(data.Data(), data.Data() + data.ByteLength());
  auto pool = stream->connection().pool();
  return {pool, [stream, bytes] {
            stream->Write(*bytes);
            return Value();
          }};
}

Prepared CloseStream(const Arguments& arguments) {
  auto stream = arguments.Get<StreamHandle>(1);
  auto pool = stream->connection().pool();
  return {pool, [stream] {
            stream->Close();
            return Value();
          }};
}

Prepared OpenConsole(const Arguments& arguments) {
  auto domain = arguments.Get<DomainHandle>(1);
  auto connection = domain->connection().shared_from_this();
  return On(domain, [connection, device = arguments.MaybeText(2), flags = arguments.Flags(3)](virDomainPtr pointer) {
    // Freed after the error is copied: freeing a stream forgets why it failed.
    std::unique_ptr<virStream, decltype(&virStreamFree)> stream(
        Check(virStreamNew(virDomainGetConnect(pointer), VIR_STREAM_NONBLOCK)), virStreamFree);
    Check(virDomainOpenConsole(pointer, Characters(device), stream.get(), flags));
    return Value::Of(StreamHandle::Adopt(connection, stream.release()));
  });
}

}  // namespace

void AddStreamOperations(Operations& operations) {
  operations.insert(operations.end(), {
                                          {"streamWrite", WriteStream},
                                          {"streamClose", CloseStream, true},
                                          {"domainOpenConsole", OpenConsole},
                                      });
}

}  // namespace weft
