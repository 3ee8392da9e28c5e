#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "operation.h"

namespace weft {

namespace {

constexpr size_t kMaximumScreenshot = 64 * 1024 * 1024;

Prepared GetBlockInfo(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [disk = arguments.Text(2)](virDomainPtr domain) {
    virDomainBlockInfo info;
    Check(virDomainGetBlockInfo(domain, disk.c_str(), &info, 0));
    return Value::Record({{"capacityBytes", Value::BigUint(info.capacity)},
                          {"allocationBytes", Value::BigUint(info.allocation)},
                          {"physicalBytes", Value::BigUint(info.physical)}});
  });
}

Prepared Screenshot(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [screen = arguments.Flags(2)](virDomainPtr domain) {
    const std::unique_ptr<virStream, decltype(&virStreamFree)> stream(
        Check(virStreamNew(virDomainGetConnect(domain), 0)), virStreamFree);
    const std::string mimeType = TakeString(virDomainScreenshot(domain, stream.get(), screen, 0));
    Bytes data;
    std::vector<char> chunk(256 * 1024);
    for (;;) {
      const int received = virStreamRecv(stream.get(), chunk.data(), chunk.size());
      if (received == 0) break;
      if (received < 0 || data.size() > kMaximumScreenshot) {
        // Copied before the abort, which resets it.
        const Failure failure = received < 0 ? LastFailure() : Failure{VIR_ERR_OVERFLOW, VIR_FROM_STREAMS, VIR_ERR_ERROR, "the screenshot is too large"};
        virStreamAbort(stream.get());
        throw failure;
      }
      data.insert(data.end(), chunk.begin(), chunk.begin() + received);
    }
    Check(virStreamFinish(stream.get()));
    return Value::Record({{"mimeType", Value::String(mimeType)}, {"data", Value::Buffer(std::move(data))}});
  });
}

Prepared InterfaceAddresses(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [source = arguments.Flags(2)](virDomainPtr domain) {
    virDomainInterfacePtr* interfaces = nullptr;
    const int count = Check(virDomainInterfaceAddresses(domain, &interfaces, source, 0));
    Array described;
    for (int index = 0; index < count; ++index) {
      const virDomainInterface& interface = *interfaces[index];
      Array addresses;
      for (unsigned int at = 0; at < interface.naddrs; ++at) {
        const virDomainIPAddress& address = interface.addrs[at];
        addresses.push_back(
            Value::Record({{"type", Value::String(address.type == VIR_IP_ADDR_TYPE_IPV6 ? "ipv6" : "ipv4")},
                           {"address", Value::Text(address.addr)},
                           {"prefix", Value::Number(address.prefix)}}));
      }
      described.push_back(Value::Record({{"name", Value::Text(interface.name)},
                                         {"mac", Value::Text(interface.hwaddr)},
                                         {"addresses", Value::List(std::move(addresses))}}));
      virDomainInterfaceFree(interfaces[index]);
    }
    free(interfaces);
    return Value::List(std::move(described));
  });
}

Prepared AgentCommand(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1),
            [command = arguments.Text(2), timeoutSeconds = arguments.Integer(3)](virDomainPtr domain) {
              return Value::String(
                  TakeString(virDomainQemuAgentCommand(domain, command.c_str(), timeoutSeconds, 0)));
            });
}

Prepared MonitorCommand(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1),
            [command = arguments.Text(2), flags = arguments.Flags(3)](virDomainPtr domain) {
              char* answer = nullptr;
              Check(virDomainQemuMonitorCommand(domain, command.c_str(), &answer, flags));
              return Value::String(TakeString(answer));
            });
}

template <int (*Call)(virDomainPtr, const char*, unsigned int)>
Prepared Device(const Arguments& arguments) {
  return On(arguments.Get<DomainHandle>(1), [xml = arguments.Text(2), flags = arguments.Flags(3)](virDomainPtr domain) {
    Check(Call(domain, xml.c_str(), flags));
    return Value();
  });
}

}  // namespace

void AddDeviceOperations(Operations& operations) {
  operations.insert(operations.end(), {
                                          {"domainBlockInfo", GetBlockInfo},
                                          {"domainScreenshot", Screenshot},
                                          {"domainInterfaceAddresses", InterfaceAddresses},
                                          {"domainAgentCommand", AgentCommand},
                                          {"domainMonitorCommand", MonitorCommand},
                                          {"domainAttachDevice", Device<virDomainAttachDeviceFlags>},
                                          {"domainDetachDevice", Device<virDomainDetachDeviceFlags>},
                                          {"domainUpdateDevice", Device<virDomainUpdateDeviceFlags>},
                                      });
}

}  // namespace weft
