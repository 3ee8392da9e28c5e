#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace weft {

class Handle;
struct Field;
class Value;
using Bytes = std::vector<uint8_t>;
using Array = std::vector<Value>;
using Object = std::vector<Field>;

/** A result on its way from a worker thread to JavaScript. Holds nothing of V8, so any thread may make or drop it. */
class Value {
 public:
  Value() = default;
  static Value Null() { return Value(Data(nullptr)); }
  static Value Boolean(bool value) { return Value(Data(value)); }
  static Value Number(double value) { return Value(Data(value)); }
  static Value BigInt(int64_t value) { return Value(Data(value)); }
  static Value BigUint(uint64_t value) { return Value(Data(value)); }
  static Value String(std::string value) { return Value(Data(std::move(value))); }
  /** Null for a null pointer. */
  static Value Text(const char* value) { return value ? String(value) : Null(); }
  static Value Buffer(Bytes value) { return Value(Data(std::move(value))); }
  static Value List(Array value) { return Value(Data(std::move(value))); }
  static Value Record(Object value);
  static Value Of(std::shared_ptr<Handle> value) { return Value(Data(std::move(value))); }

  Napi::Value ToJavaScript(Napi::Env env) const;

 private:
  using Data = std::variant<std::monostate, std::nullptr_t, bool, double, int64_t, uint64_t, std::string, Bytes, Array,
                            Object, std::shared_ptr<Handle>>;
  explicit Value(Data data) : data_(std::move(data)) {}
  Data data_;
};

struct Field {
  std::string name;
  Value value;
};

inline Value Value::Record(Object value) { return Value(Data(std::move(value))); }

}  // namespace weft
