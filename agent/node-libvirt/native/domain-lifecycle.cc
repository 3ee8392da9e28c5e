#include <libvirt/libvirt.h>

#include "operation.h"

namespace weft {

namespace {

/** A call that takes flags and answers nothing. */
template <int (*Call)(virDomainPtr, unsigned int)>
Prepared WithFlags(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [flags = arguments.Flags(2)](virDomainPtr domain) {
    Check(Call(domain, flags));
    return Value();
  });
}

template <int (*Call)(virDomainPtr)>
Prepared Plain(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [](virDomainPtr domain) {
    Check(Call(domain));
    return Value();
  });
}

Prepared Reset(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [](virDomainPtr domain) {
    Check(virDomainReset(domain, 0));
    return Value();
  });
}

}  // namespace

void AddLifecycleOperations(Operations& operations) {
  operations.insert(operations.end(), {
                                          {"domainCreate", WithFlags<virDomainCreateWithFlags>},
                                          {"domainShutdown", WithFlags<virDomainShutdownFlags>},
                                          {"domainReboot", WithFlags<virDomainReboot>},
                                          {"domainReset", Reset},
                                          {"domainDestroy", WithFlags<virDomainDestroyFlags>},
                                          {"domainUndefine", WithFlags<virDomainUndefineFlags>},
                                          {"domainSuspend", Plain<virDomainSuspend>},
                                          {"domainResume", Plain<virDomainResume>},
                                          {"domainManagedSave", WithFlags<virDomainManagedSave>},
                                      });
}

}  // namespace weft
