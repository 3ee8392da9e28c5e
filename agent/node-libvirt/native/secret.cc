#include <libvirt/libvirt.h>

#include <memory>

#include "operation.h"

namespace weft {

namespace {

/** Secrets are looked up for each call: nothing of them is kept here. */
using SecretPointer = std::unique_ptr<virSecret, int (*)(virSecretPtr)>;

SecretPointer Own(virSecretPtr secret) { return SecretPointer(Check(secret), virSecretFree); }

SecretPointer ByUuid(virConnectPtr connection, const std::string& uuid) {
  return Own(virSecretLookupByUUIDString(connection, uuid.c_str()));
}

std::string UuidOf(virSecretPtr secret) {
  char uuid[VIR_UUID_STRING_BUFLEN];
  Check(virSecretGetUUIDString(secret, uuid));
  return uuid;
}

Value Describe(virSecretPtr secret) {
  return Value::Record({{"uuid", Value::String(UuidOf(secret))},
                        {"usageType", Value::Number(Check(virSecretGetUsageType(secret)))},
                        {"usageId", Value::Text(virSecretGetUsageID(secret))}});
}

Prepared Define(const Arguments& arguments) {
  return On(arguments.Get<ConnectionHandle>(1),
            [xml = arguments.Text(2), flags = arguments.Flags(3)](virConnectPtr connection) {
              return Value::String(UuidOf(Own(virSecretDefineXML(connection, xml.c_str(), flags)).get()));
            });
}

/** The bytes are wiped when the call has ended. */
Prepared SetValue(const Arguments& arguments) {
  const auto data = arguments.Raw(3).As<Napi::Uint8Array>();
  auto bytes = std::shared_ptr<Bytes>(new Bytes(data.Data(), data.Data() + data.ByteLength()), [](Bytes* held) {
    explicit_bzero(held->data(), held->size());
    delete held;
  });
  return On(arguments.Get<ConnectionHandle>(1),
            [uuid = arguments.Text(2), bytes = std::move(bytes)](virConnectPtr connection) {
              const auto secret = ByUuid(connection, uuid);
              Check(virSecretSetValue(secret.get(), bytes->data(), bytes->size(), 0));
              return Value();
            });
}

Prepared Undefine(const Arguments& arguments) {
  return On(arguments.Get<ConnectionHandle>(1), [uuid = arguments.Text(2)](virConnectPtr connection) {
    Check(virSecretUndefine(ByUuid(connection, uuid).get()));
    return Value();
  });
}

Prepared ListAll(const Arguments& arguments) {
  return On(arguments.Get<ConnectionHandle>(1), [flags = arguments.Flags(2)](virConnectPtr connection) {
    virSecretPtr* secrets = nullptr;
    const int count = Check(virConnectListAllSecrets(connection, &secrets, flags));
    Array described;
    int index = 0;
    try {
      for (; index < count; ++index) {
        described.push_back(Describe(secrets[index]));
        virSecretFree(secrets[index]);
      }
    } catch (...) {
      while (index < count) virSecretFree(secrets[index++]);
      free(secrets);
      throw;
    }
    free(secrets);
    return Value::List(std::move(described));
  });
}

}  // namespace

void AddSecretOperations(Operations& operations) {
  operations.insert(operations.end(), {
                                          {"secretDefine", Define},
                                          {"secretSetValue", SetValue},
                                          {"secretUndefine", Undefine},
                                          {"secretListAll", ListAll},
                                      });
}

}  // namespace weft
