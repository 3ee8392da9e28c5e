#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "operation.h"

namespace weft {

namespace {

Prepared Define(const Arguments& arguments) {
  auto handle = arguments.Get<ConnectionHandle>(1);
  return On(handle, [handle, xml = arguments.Text(2), flags = arguments.Flags(3)](virConnectPtr connection) {
    return DescribeDomain(*handle, Check(virDomainDefineXMLFlags(connection, xml.c_str(), flags)));
  });
}

Prepared CreateXml(const Arguments& arguments) {
  auto handle = arguments.Get<ConnectionHandle>(1);
  return On(handle, [handle, xml = arguments.Text(2), flags = arguments.Flags(3)](virConnectPtr connection) {
    return DescribeDomain(*handle, Check(virDomainCreateXML(connection, xml.c_str(), flags)));
  });
}

Prepared LookupByName(const Arguments& arguments) {
  auto handle = arguments.Get<ConnectionHandle>(1);
  return On(handle, [handle, name = arguments.Text(2)](virConnectPtr connection) {
    return DescribeDomain(*handle, Check(virDomainLookupByName(connection, name.c_str())));
  });
}

Prepared LookupByUuid(const Arguments& arguments) {
  auto handle = arguments.Get<ConnectionHandle>(1);
  return On(handle, [handle, uuid = arguments.Text(2)](virConnectPtr connection) {
    return DescribeDomain(*handle, Check(virDomainLookupByUUIDString(connection, uuid.c_str())));
  });
}

Prepared LookupById(const Arguments& arguments) {
  auto handle = arguments.Get<ConnectionHandle>(1);
  return On(handle, [handle, id = arguments.Integer(2)](virConnectPtr connection) {
    return DescribeDomain(*handle, Check(virDomainLookupByID(connection, id)));
  });
}

Prepared ListAll(const Arguments& arguments) {
  auto handle = arguments.Get<ConnectionHandle>(1);
  return On(handle, [handle, flags = arguments.Flags(2)](virConnectPtr connection) {
    virDomainPtr* domains = nullptr;
    const int count = Check(virConnectListAllDomains(connection, &domains, flags));
    Array described;
    int index = 0;
    try {
      // Each pointer is taken over, also when describing it fails.
      while (index < count) described.push_back(DescribeDomain(*handle, domains[index++]));
    } catch (...) {
      while (index < count) virDomainFree(domains[index++]);
      free(domains);
      throw;
    }
    free(domains);
    return Value::List(std::move(described));
  });
}

Prepared GetId(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [](virDomainPtr domain) {
    // Cached in the pointer, and −1 both for a failure and for a domain that does not run: ask anew.
    const std::unique_ptr<virDomain, decltype(&virDomainFree)> fresh(
        Check(virDomainLookupByUUIDString(virDomainGetConnect(domain),
                                          [domain] {
                                            static thread_local char uuid[VIR_UUID_STRING_BUFLEN];
                                            Check(virDomainGetUUIDString(domain, uuid));
                                            return uuid;
                                          }())),
        virDomainFree);
    const unsigned int id = virDomainGetID(fresh.get());
    return id == static_cast<unsigned int>(-1) ? Value::Null() : Value::Number(id);
  });
}

Prepared IsActive(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1),
            [](virDomainPtr domain) { return Value::Boolean(Check(virDomainIsActive(domain)) == 1); });
}

Prepared IsPersistent(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1),
            [](virDomainPtr domain) { return Value::Boolean(Check(virDomainIsPersistent(domain)) == 1); });
}

Prepared GetState(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [](virDomainPtr domain) {
    int state = 0;
    int reason = 0;
    Check(virDomainGetState(domain, &state, &reason, 0));
    return Value::List({Value::Number(state), Value::Number(reason)});
  });
}

Prepared GetInfo(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [](virDomainPtr domain) {
    virDomainInfo info;
    Check(virDomainGetInfo(domain, &info));
    return Value::Record({{"stateCode", Value::Number(info.state)},
                          {"maximumMemoryKiB", Value::BigUint(info.maxMem)},
                          {"memoryKiB", Value::BigUint(info.memory)},
                          {"cpus", Value::Number(info.nrVirtCpu)},
                          {"cpuTimeNs", Value::BigUint(info.cpuTime)}});
  });
}

Prepared GetXml(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [flags = arguments.Flags(2)](virDomainPtr domain) {
    return Value::String(TakeString(virDomainGetXMLDesc(domain, flags)));
  });
}

Prepared GetAutostart(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [](virDomainPtr domain) {
    int autostart = 0;
    Check(virDomainGetAutostart(domain, &autostart));
    return Value::Boolean(autostart != 0);
  });
}

Prepared SetAutostart(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [autostart = arguments.Boolean(2)](virDomainPtr domain) {
    Check(virDomainSetAutostart(domain, autostart ? 1 : 0));
    return Value();
  });
}

Prepared GetMetadata(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [type = arguments.Integer(2), uri = arguments.MaybeText(3),
                                             flags = arguments.Flags(4)](virDomainPtr domain) {
    char* text = virDomainGetMetadata(domain, type, Characters(uri), flags);
    if (text != nullptr) return Value::String(TakeString(text));
    const virErrorPtr error = virGetLastError();
    if (error != nullptr && error->code == VIR_ERR_NO_DOMAIN_METADATA) return Value::Null();
    ThrowLastError();
  });
}

Prepared SetMetadata(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1),
            [type = arguments.Integer(2), value = arguments.MaybeText(3), key = arguments.MaybeText(4),
             uri = arguments.MaybeText(5), flags = arguments.Flags(6)](virDomainPtr domain) {
              Check(virDomainSetMetadata(domain, type, Characters(value), Characters(key), Characters(uri), flags));
              return Value();
            });
}

}  // namespace

void AddDomainOperations(Operations& operations) {
  operations.insert(operations.end(), {
                                          {"domainDefine", Define},
                                          {"domainCreateXml", CreateXml},
                                          {"domainLookupByName", LookupByName},
                                          {"domainLookupByUuid", LookupByUuid},
                                          {"domainLookupById", LookupById},
                                          {"domainListAll", ListAll},
                                          {"domainId", GetId},
                                          {"domainIsActive", IsActive},
                                          {"domainIsPersistent", IsPersistent},
                                          {"domainState", GetState},
                                          {"domainInfo", GetInfo},
                                          {"domainXml", GetXml},
                                          {"domainAutostart", GetAutostart},
                                          {"domainSetAutostart", SetAutostart},
                                          {"domainMetadata", GetMetadata},
                                          {"domainSetMetadata", SetMetadata},
                                      });
}

}  // namespace weft
