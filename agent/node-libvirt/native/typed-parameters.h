#pragma once

#include <libvirt/libvirt.h>
#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "value.h"

namespace weft {

/** 32-bit and double figures become numbers, 64-bit figures bigint. */
Value DescribeParameters(const virTypedParameter* parameters, int count);

/** `[name, type, value][]` of JavaScript as libvirt's list. @throws Napi::TypeError. */
class ParameterList {
 public:
  explicit ParameterList(const Napi::Value& list);
  ~ParameterList();
  ParameterList(const ParameterList&) = delete;
  ParameterList& operator=(const ParameterList&) = delete;

  virTypedParameterPtr data() const { return parameters_; }
  unsigned int size() const { return static_cast<unsigned int>(count_); }

 private:
  void Read(const Napi::Value& list);

  virTypedParameterPtr parameters_ = nullptr;
  int count_ = 0;
  int capacity_ = 0;
};

}  // namespace weft
