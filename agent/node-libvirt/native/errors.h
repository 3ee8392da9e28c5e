#pragma once

#include <string>

#include "value.h"

namespace weft {

/** A libvirt error, copied on the thread that made the call: libvirt keeps it per thread. Thrown inside jobs. */
struct Failure {
  int code;
  int domain;
  int level;
  std::string message;

  Value ToValue() const;
};

/** The calling thread's last error. Any further call of libvirt's resets it. */
Failure LastFailure();

/** Throws it. */
[[noreturn]] void ThrowLastError();

/** For calls on what close() has freed. */
[[noreturn]] void ThrowClosed(const char* what);

/** True when the calling thread's last error says that this driver lacks the call. */
bool LastErrorIsNoSupport();

/** libvirt answers −1 on failure. */
inline int Check(int result) {
  if (result < 0) ThrowLastError();
  return result;
}

/** libvirt answers null on failure. */
template <typename T>
T* Check(T* result) {
  if (result == nullptr) ThrowLastError();
  return result;
}

/** A string that libvirt allocated: copied and freed. */
std::string TakeString(char* text);

}  // namespace weft
