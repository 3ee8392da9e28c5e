#include <libvirt/libvirt.h>

#include "operation.h"

namespace weft {

namespace {

template <virNetworkPtr (*Call)(virConnectPtr, const char*)>
Prepared ByText(const Arguments& arguments) {
  auto handle = arguments.Get<ConnectionHandle>(1);
  return On(handle, [handle, text = arguments.Text(2)](virConnectPtr connection) {
    return DescribeNetwork(*handle, Check(Call(connection, text.c_str())));
  });
}

Prepared ListAll(const Arguments& arguments) {
  auto handle = arguments.Get<ConnectionHandle>(1);
  return On(handle, [handle, flags = arguments.Flags(2)](virConnectPtr connection) {
    virNetworkPtr* networks = nullptr;
    const int count = Check(virConnectListAllNetworks(connection, &networks, flags));
    Array described;
    int index = 0;
    try {
      // Each pointer is taken over, also when describing it fails.
      while (index < count) described.push_back(DescribeNetwork(*handle, networks[index++]));
    } catch (...) {
      while (index < count) virNetworkFree(networks[index++]);
      free(networks);
      throw;
    }
    free(networks);
    return Value::List(std::move(described));
  });
}

template <int (*Call)(virNetworkPtr)>
Prepared Question(const Arguments& arguments) {
  return On(arguments.Get<NetworkHandle>(1),
            [](virNetworkPtr network) { return Value::Boolean(Check(Call(network)) == 1); });
}

template <int (*Call)(virNetworkPtr)>
Prepared Plain(const Arguments& arguments) {
  return On(arguments.Get<NetworkHandle>(1), [](virNetworkPtr network) {
    Check(Call(network));
    return Value();
  });
}

Prepared GetXml(const Arguments& arguments) {
  return On(arguments.Get<NetworkHandle>(1), [flags = arguments.Flags(2)](virNetworkPtr network) {
    return Value::String(TakeString(virNetworkGetXMLDesc(network, flags)));
  });
}

Prepared GetBridgeName(const Arguments& arguments) {
  return On(arguments.Get<NetworkHandle>(1),
            [](virNetworkPtr network) { return Value::String(TakeString(virNetworkGetBridgeName(network))); });
}

Prepared GetAutostart(const Arguments& arguments) {
  return On(arguments.Get<NetworkHandle>(1), [](virNetworkPtr network) {
    int autostart = 0;
    Check(virNetworkGetAutostart(network, &autostart));
    return Value::Boolean(autostart != 0);
  });
}

Prepared SetAutostart(const Arguments& arguments) {
  return On(arguments.Get<NetworkHandle>(1), [autostart = arguments.Boolean(2)](virNetworkPtr network) {
    Check(virNetworkSetAutostart(network, autostart ? 1 : 0));
    return Value();
  });
}

Prepared Update(const Arguments& arguments) {
  return On(arguments.Get<NetworkHandle>(1),
            [command = arguments.Flags(2), section = arguments.Flags(3), parentIndex = arguments.Integer(4),
             xml = arguments.Text(5), flags = arguments.Flags(6)](virNetworkPtr network) {
              Check(virNetworkUpdate(network, command, section, parentIndex, xml.c_str(), flags));
              return Value();
            });
}

Prepared GetDhcpLeases(const Arguments& arguments) {
  return On(arguments.Get<NetworkHandle>(1), [mac = arguments.MaybeText(2)](virNetworkPtr network) {
    virNetworkDHCPLeasePtr* leases = nullptr;
    const int count = Check(virNetworkGetDHCPLeases(network, Characters(mac), &leases, 0));
    Array described;
    for (int index = 0; index < count; ++index) {
      const virNetworkDHCPLease& lease = *leases[index];
      described.push_back(Value::Record({{"interface", Value::Text(lease.iface)},
                                         {"expirySeconds", Value::BigInt(lease.expirytime)},
                                         {"type", Value::String(lease.type == VIR_IP_ADDR_TYPE_IPV6 ? "ipv6" : "ipv4")},
                                         {"mac", Value::Text(lease.mac)},
                                         {"iaid", Value::Text(lease.iaid)},
                                         {"address", Value::Text(lease.ipaddr)},
                                         {"prefix", Value::Number(lease.prefix)},
                                         {"hostname", Value::Text(lease.hostname)},
                                         {"clientId", Value::Text(lease.clientid)}}));
      virNetworkDHCPLeaseFree(leases[index]);
    }
    free(leases);
    return Value::List(std::move(described));
  });
}

}  // namespace

void AddNetworkOperations(Operations& operations) {
  operations.insert(operations.end(), {
                                          {"networkDefine", ByText<virNetworkDefineXML>},
                                          {"networkCreateXml", ByText<virNetworkCreateXML>},
                                          {"networkLookupByName", ByText<virNetworkLookupByName>},
                                          {"networkLookupByUuid", ByText<virNetworkLookupByUUIDString>},
                                          {"networkListAll", ListAll},
                                          {"networkIsActive", Question<virNetworkIsActive>},
                                          {"networkIsPersistent", Question<virNetworkIsPersistent>},
                                          {"networkXml", GetXml},
                                          {"networkBridgeName", GetBridgeName},
                                          {"networkCreate", Plain<virNetworkCreate>},
                                          {"networkDestroy", Plain<virNetworkDestroy>},
                                          {"networkUndefine", Plain<virNetworkUndefine>},
                                          {"networkAutostart", GetAutostart},
                                          {"networkSetAutostart", SetAutostart},
                                          {"networkUpdate", Update},
                                          {"networkDhcpLeases", GetDhcpLeases},
                                      });
}

}  // namespace weft
