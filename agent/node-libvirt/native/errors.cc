#include "errors.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <cstdlib>

namespace weft {

Value Failure::ToValue() const {
  return Value::Record({{"code", Value::Number(code)},
                        {"domain", Value::Number(domain)},
                        {"level", Value::Number(level)},
                        {"message", Value::String(message)}});
}

Failure LastFailure() {
  const virErrorPtr error = virGetLastError();
  if (error == nullptr || error->code == VIR_ERR_OK) {
    return {VIR_ERR_INTERNAL_ERROR, VIR_FROM_NONE, VIR_ERR_ERROR, "libvirt failed without saying why"};
  }
  return {error->code, error->domain, error->level, error->message ? error->message : "unknown error"};
}

void ThrowLastError() { throw LastFailure(); }

void ThrowClosed(const char* what) {
  throw Failure{VIR_ERR_INVALID_CONN, VIR_FROM_NONE, VIR_ERR_ERROR, std::string(what) + " is closed"};
}

bool LastErrorIsNoSupport() {
  const virErrorPtr error = virGetLastError();
  return error != nullptr && error->code == VIR_ERR_NO_SUPPORT;
}

std::string TakeString(char* text) {
  std::string copy(Check(text));
  std::free(text);
  return copy;
}

}  // namespace weft
