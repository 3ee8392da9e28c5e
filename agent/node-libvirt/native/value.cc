#include "value.h"

#include "handles.h"

namespace weft {

namespace {

struct Converter {
  Napi::Env env;

  Napi::Value operator()(std::monostate) const { return env.Undefined(); }
  Napi::Value operator()(std::nullptr_t) const { return env.Null(); }
  Napi::Value operator()(bool value) const { return Napi::Boolean::New(env, value); }
  Napi::Value operator()(double value) const { return Napi::Number::New(env, value); }
  Napi::Value operator()(int64_t value) const { return Napi::BigInt::New(env, value); }
  Napi::Value operator()(uint64_t value) const { return Napi::BigInt::New(env, value); }
  Napi::Value operator()(const std::string& value) const { return Napi::String::New(env, value); }
  Napi::Value operator()(const Bytes& value) const {
    return Napi::Buffer<uint8_t>::Copy(env, value.data(), value.size());
  }
  Napi::Value operator()(const Array& values) const {
    auto array = Napi::Array::New(env, values.size());
    for (uint32_t index = 0; index < values.size(); ++index) array.Set(index, values[index].ToJavaScript(env));
    return array;
  }
  Napi::Value operator()(const Object& fields) const {
    auto object = Napi::Object::New(env);
    for (const auto& field : fields) object.Set(field.name, field.value.ToJavaScript(env));
    return object;
  }
  Napi::Value operator()(const std::shared_ptr<Handle>& handle) const {
    return Napi::External<std::shared_ptr<Handle>>::New(
        env, new std::shared_ptr<Handle>(handle), [](Napi::Env, std::shared_ptr<Handle>* held) { delete held; });
  }
};

}  // namespace

Napi::Value Value::ToJavaScript(Napi::Env env) const { return std::visit(Converter{env}, data_); }

}  // namespace weft
