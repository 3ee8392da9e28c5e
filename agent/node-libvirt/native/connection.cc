#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "event-loop.h"
#include "events.h"
#include "operation.h"
#include "registry.h"
#include "typed-parameters.h"

namespace weft {

namespace {

using Connections = Registry<ConnectionHandle>;

/** False when the other side has none: local drivers, old daemons. */
bool SetKeepAlive(virConnectPtr connection, int intervalSeconds, int count) {
  const int result = virConnectSetKeepAlive(connection, intervalSeconds, static_cast<unsigned int>(count));
  if (result < 0 && !LastErrorIsNoSupport()) ThrowLastError();
  virResetLastError();
  return result == 0;
}

Prepared Open(const Arguments& arguments) {
  event_loop::Ensure();
  const std::string uri = arguments.Text(1);
  const unsigned int flags = arguments.Flags(2);
  const int workers = arguments.Integer(3);
  const int intervalSeconds = arguments.Integer(4);
  const int count = arguments.Integer(5);
  std::vector<std::string> events;
  const auto list = arguments.Raw(6).As<Napi::Array>();
  for (uint32_t index = 0; index < list.Length(); ++index) events.push_back(list.Get(index).ToString());
  auto handle = std::make_shared<ConnectionHandle>(arguments.channel(),
                                                   static_cast<uint32_t>(Connections::Get().NextNumber()),
                                                   static_cast<size_t>(workers < 1 ? 1 : workers));
  Connections::Get().Add(handle->number(), handle);
  auto pool = handle->pool();
  return {pool, [=] {
            virConnectPtr opened = Check(virConnectOpenAuth(uri.c_str(), nullptr, flags));
            Subscriptions subscriptions;
            bool keepAlive = false;
            try {
              if (intervalSeconds > 0) keepAlive = SetKeepAlive(opened, intervalSeconds, count);
              subscriptions = Subscribe(opened, handle, events);
            } catch (...) {
              virConnectClose(opened);
              throw;
            }
            handle->Adopt(std::shared_ptr<virConnect>(opened, [subscriptions](virConnectPtr held) {
              Unsubscribe(held, subscriptions);
              virConnectClose(held);
            }));
            Array unsupported;
            for (const auto& name : subscriptions.unsupported) unsupported.push_back(Value::String(name));
            return Value::Record({{"handle", Value::Of(handle)},
                                  {"number", Value::Number(handle->number())},
                                  {"unsupportedEvents", Value::List(std::move(unsupported))},
                                  {"keepAlive", Value::Boolean(keepAlive)}});
          }};
}

Prepared Close(const Arguments& arguments) {
  auto handle = arguments.Get<ConnectionHandle>(1);
  auto pool = handle->pool();
  return {pool, [handle] {
            handle->Close();
            return Value();
          }};
}

Prepared GetVersions(const Arguments& arguments) {
  return On(arguments.Get<ConnectionHandle>(1), [](virConnectPtr connection) {
    unsigned long hypervisor = 0;
    unsigned long daemon = 0;
    unsigned long client = 0;
    Check(virConnectGetVersion(connection, &hypervisor));
    Check(virConnectGetLibVersion(connection, &daemon));
    Check(virGetVersion(&client, nullptr, nullptr));
    return Value::Record({{"type", Value::Text(virConnectGetType(connection))},
                          {"hypervisor", Value::Number(hypervisor)},
                          {"libvirt", Value::Number(daemon)},
                          {"client", Value::Number(client)}});
  });
}

Prepared IsAlive(const Arguments& arguments) {
  return On(arguments.Get<ConnectionHandle>(1),
            [](virConnectPtr connection) { return Value::Boolean(Check(virConnectIsAlive(connection)) == 1); });
}

Prepared GetUri(const Arguments& arguments) {
  return On(arguments.Get<ConnectionHandle>(1),
            [](virConnectPtr connection) { return Value::String(TakeString(virConnectGetURI(connection))); });
}

Prepared GetHostname(const Arguments& arguments) {
  return On(arguments.Get<ConnectionHandle>(1),
            [](virConnectPtr connection) { return Value::String(TakeString(virConnectGetHostname(connection))); });
}

Prepared GetCapabilities(const Arguments& arguments) {
  return On(arguments.Get<ConnectionHandle>(1),
            [](virConnectPtr connection) { return Value::String(TakeString(virConnectGetCapabilities(connection))); });
}

Prepared GetDomainCapabilities(const Arguments& arguments) {
  return On(arguments.Get<ConnectionHandle>(1),
            [emulator = arguments.MaybeText(2), architecture = arguments.MaybeText(3), machine = arguments.MaybeText(4),
             type = arguments.MaybeText(5)](virConnectPtr connection) {
              return Value::String(
                  TakeString(virConnectGetDomainCapabilities(connection, Characters(emulator), Characters(architecture),
                                                             Characters(machine), Characters(type), 0)));
            });
}

Prepared GetNodeInfo(const Arguments& arguments) {
  return On(arguments.Get<ConnectionHandle>(1), [](virConnectPtr connection) {
    virNodeInfo info;
    Check(virNodeGetInfo(connection, &info));
    return Value::Record({{"model", Value::String(info.model)},
                          {"memoryKiB", Value::BigUint(info.memory)},
                          {"cpus", Value::Number(info.cpus)},
                          {"mhz", Value::Number(info.mhz)},
                          {"numaNodes", Value::Number(info.nodes)},
                          {"sockets", Value::Number(info.sockets)},
                          {"coresPerSocket", Value::Number(info.cores)},
                          {"threadsPerCore", Value::Number(info.threads)}});
  });
}

Prepared SetKeepAliveOf(const Arguments& arguments) {
  return On(arguments.Get<ConnectionHandle>(1),
            [interval = arguments.Integer(2), count = arguments.Integer(3)](virConnectPtr connection) {
              return Value::Boolean(SetKeepAlive(connection, interval, count));
            });
}

Prepared GetDomainStats(const Arguments& arguments) {
  auto handle = arguments.Get<ConnectionHandle>(1);
  return On(handle, [handle, groups = arguments.Flags(2), flags = arguments.Flags(3)](virConnectPtr connection) {
    virDomainStatsRecordPtr* records = nullptr;
    const int count = Check(virConnectGetAllDomainStats(connection, groups, &records, flags));
    const std::unique_ptr<virDomainStatsRecordPtr, decltype(&virDomainStatsRecordListFree)> held(
        records, virDomainStatsRecordListFree);
    Array rows;
    for (int index = 0; index < count; ++index) {
      // The list frees its own references.
      virDomainRef(records[index]->dom);
      rows.push_back(Value::List({DescribeDomain(*handle, records[index]->dom),
                                  DescribeParameters(records[index]->params, records[index]->nparams)}));
    }
    return Value::List(std::move(rows));
  });
}

Prepared Restore(const Arguments& arguments) {
  return On(arguments.Get<ConnectionHandle>(1), [path = arguments.Text(2), xml = arguments.MaybeText(3),
                                                 flags = arguments.Flags(4)](virConnectPtr connection) {
    Check(virDomainRestoreFlags(connection, path.c_str(), Characters(xml), flags));
    return Value();
  });
}

}  // namespace

void AddConnectionOperations(Operations& operations) {
  operations.insert(operations.end(), {
                                          {"connectionOpen", Open},
                                          {"connectionClose", Close, true},
                                          {"connectionVersions", GetVersions},
                                          {"connectionIsAlive", IsAlive},
                                          {"connectionUri", GetUri},
                                          {"connectionHostname", GetHostname},
                                          {"connectionCapabilities", GetCapabilities},
                                          {"connectionDomainCapabilities", GetDomainCapabilities},
                                          {"connectionNodeInfo", GetNodeInfo},
                                          {"connectionSetKeepAlive", SetKeepAliveOf},
                                          {"connectionDomainStats", GetDomainStats},
                                          {"connectionRestore", Restore},
                                      });
}

}  // namespace weft
