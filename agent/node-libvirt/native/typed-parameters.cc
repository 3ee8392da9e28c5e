#include "typed-parameters.h"

namespace weft {

namespace {

Value DescribeOne(const virTypedParameter& parameter) {
  switch (parameter.type) {
    case VIR_TYPED_PARAM_INT:
      return Value::Number(parameter.value.i);
    case VIR_TYPED_PARAM_UINT:
      return Value::Number(parameter.value.ui);
    case VIR_TYPED_PARAM_LLONG:
      return Value::BigInt(parameter.value.l);
    case VIR_TYPED_PARAM_ULLONG:
      return Value::BigUint(parameter.value.ul);
    case VIR_TYPED_PARAM_DOUBLE:
      return Value::Number(parameter.value.d);
    case VIR_TYPED_PARAM_BOOLEAN:
      return Value::Boolean(parameter.value.b != 0);
    case VIR_TYPED_PARAM_STRING:
      return Value::Text(parameter.value.s);
    default:
      return Value::Null();
  }
}

}  // namespace

Value DescribeParameters(const virTypedParameter* parameters, int count) {
  Object fields;
  for (int index = 0; index < count; ++index) {
    fields.push_back({parameters[index].field, DescribeOne(parameters[index])});
  }
  return Value::Record(std::move(fields));
}

ParameterList::ParameterList(const Napi::Value& list) {
  try {
    Read(list);
  } catch (...) {
    virTypedParamsFree(parameters_, count_);
    throw;
  }
}

void ParameterList::Read(const Napi::Value& list) {
  const auto rows = list.As<Napi::Array>();
  for (uint32_t index = 0; index < rows.Length(); ++index) {
    const auto row = rows.Get(index).As<Napi::Array>();
    const std::string name = row.Get(0u).As<Napi::String>();
    const std::string type = row.Get(1u).As<Napi::String>();
    const Napi::Value value = row.Get(2u);
    bool lossless = true;
    int result = -1;
    if (type == "int") {
      result = virTypedParamsAddInt(&parameters_, &count_, &capacity_, name.c_str(), value.As<Napi::Number>().Int32Value());
    } else if (type == "uint") {
      result = virTypedParamsAddUInt(&parameters_, &count_, &capacity_, name.c_str(), value.As<Napi::Number>().Uint32Value());
    } else if (type == "llong") {
      result = virTypedParamsAddLLong(&parameters_, &count_, &capacity_, name.c_str(),
                                      value.As<Napi::BigInt>().Int64Value(&lossless));
    } else if (type == "ullong") {
      result = virTypedParamsAddULLong(&parameters_, &count_, &capacity_, name.c_str(),
                                       value.As<Napi::BigInt>().Uint64Value(&lossless));
    } else if (type == "double") {
      result = virTypedParamsAddDouble(&parameters_, &count_, &capacity_, name.c_str(), value.As<Napi::Number>().DoubleValue());
    } else if (type == "boolean") {
      result = virTypedParamsAddBoolean(&parameters_, &count_, &capacity_, name.c_str(), value.ToBoolean() ? 1 : 0);
    } else if (type == "string") {
      const std::string text = value.As<Napi::String>();
      result = virTypedParamsAddString(&parameters_, &count_, &capacity_, name.c_str(), text.c_str());
    }
    if (result < 0 || !lossless) throw Napi::TypeError::New(list.Env(), "parameter " + name + " is not a " + type);
  }
}

ParameterList::~ParameterList() { virTypedParamsFree(parameters_, count_); }

}  // namespace weft
