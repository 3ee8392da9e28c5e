#include "events.h"

#include <libvirt/virterror.h>

#include "errors.h"
#include "registry.h"
#include "typed-parameters.h"

namespace weft {

namespace {

/** Owned by libvirt through its free callback; outlives the environment if need be, when Post drops everything. */
struct Listener {
  std::shared_ptr<Channel> channel;
  uint32_t number;
  const char* event;
};

void FreeListener(void* opaque) { delete static_cast<Listener*>(opaque); }

void Tell(void* opaque, Object payload) {
  const auto* listener = static_cast<Listener*>(opaque);
  Message message;
  message.connection = listener->number;
  message.event = listener->event;
  message.value = Value::Record(std::move(payload));
  listener->channel->Post(std::move(message));
}

Field OfDomain(virDomainPtr domain) {
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virDomainGetUUIDString(domain, uuid);
  const unsigned int id = virDomainGetID(domain);
  return {"domain", Value::Record({{"name", Value::Text(virDomainGetName(domain))},
                                   {"uuid", Value::String(uuid)},
                                   {"id", id == static_cast<unsigned int>(-1) ? Value::Null() : Value::Number(id)}})};
}

Value TextOrEmpty(const char* text) { return Value::String(text ? text : ""); }

int OnLifecycle(virConnectPtr, virDomainPtr domain, int type, int detail, void* opaque) {
  Tell(opaque, {OfDomain(domain), {"type", Value::Number(type)}, {"detailCode", Value::Number(detail)}});
  return 0;
}
void OnGeneric(virConnectPtr, virDomainPtr domain, void* opaque) { Tell(opaque, {OfDomain(domain)}); }
void OnRtcChange(virConnectPtr, virDomainPtr domain, long long offset, void* opaque) {
  Tell(opaque, {OfDomain(domain), {"offsetSeconds", Value::BigInt(offset)}});
}
void OnWatchdog(virConnectPtr, virDomainPtr domain, int action, void* opaque) {
  Tell(opaque, {OfDomain(domain), {"action", Value::Number(action)}});
}
void OnIoError(virConnectPtr, virDomainPtr domain, const char* path, const char* alias, int action, const char* reason,
               void* opaque) {
  Tell(opaque, {OfDomain(domain),
                {"sourcePath", TextOrEmpty(path)},
                {"deviceAlias", TextOrEmpty(alias)},
                {"action", Value::Number(action)},
                {"reason", TextOrEmpty(reason)}});
}
void OnGuestAgent(virConnectPtr, virDomainPtr domain, int state, int reason, void* opaque) {
  Tell(opaque, {OfDomain(domain), {"state", Value::Number(state)}, {"reason", Value::Number(reason)}});
}
void OnDevice(virConnectPtr, virDomainPtr domain, const char* alias, void* opaque) {
  Tell(opaque, {OfDomain(domain), {"deviceAlias", TextOrEmpty(alias)}});
}
void OnBlockJob(virConnectPtr, virDomainPtr domain, const char* disk, int type, int status, void* opaque) {
  Tell(opaque, {OfDomain(domain),
                {"disk", TextOrEmpty(disk)},
                {"type", Value::Number(type)},
                {"status", Value::Number(status)}});
}
void OnMigrationIteration(virConnectPtr, virDomainPtr domain, int iteration, void* opaque) {
  Tell(opaque, {OfDomain(domain), {"iteration", Value::Number(iteration)}});
}
void OnJobCompleted(virConnectPtr, virDomainPtr domain, virTypedParameterPtr parameters, int count, void* opaque) {
  Tell(opaque, {OfDomain(domain), {"statistics", DescribeParameters(parameters, count)}});
}
void OnBalloonChange(virConnectPtr, virDomainPtr domain, unsigned long long actual, void* opaque) {
  Tell(opaque, {OfDomain(domain), {"actualKiB", Value::BigUint(actual)}});
}
void OnMetadataChange(virConnectPtr, virDomainPtr domain, int type, const char* uri, void* opaque) {
  Tell(opaque, {OfDomain(domain), {"type", Value::Number(type)}, {"uri", TextOrEmpty(uri)}});
}
void OnPowerManagement(virConnectPtr, virDomainPtr domain, int, void* opaque) { Tell(opaque, {OfDomain(domain)}); }

void OnNetworkLifecycle(virConnectPtr, virNetworkPtr network, int event, int, void* opaque) {
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virNetworkGetUUIDString(network, uuid);
  Tell(opaque, {{"network", Value::Record({{"name", Value::Text(virNetworkGetName(network))}, {"uuid", Value::String(uuid)}})},
                {"type", Value::Number(event)}});
}

void OnClose(virConnectPtr, int reason, void* opaque) {
  const auto handle = Registry<ConnectionHandle>::Get().Find(opaque);
  if (!handle) return;
  handle->TellLost();
  Message message;
  message.connection = handle->number();
  message.event = "close";
  message.value = Value::Record({{"reason", Value::Number(reason)}});
  handle->channel()->Post(std::move(message));
}

struct Kind {
  const char* name;
  int id;
  virConnectDomainEventGenericCallback callback;
};

#define KIND(name, id, callback) \
  { name, id, VIR_DOMAIN_EVENT_CALLBACK(callback) }

/** libvirt casts each callback back to the signature of its event. */
const Kind kKinds[] = {
    KIND("lifecycle", VIR_DOMAIN_EVENT_ID_LIFECYCLE, OnLifecycle),
    KIND("reboot", VIR_DOMAIN_EVENT_ID_REBOOT, OnGeneric),
    KIND("rtc-change", VIR_DOMAIN_EVENT_ID_RTC_CHANGE, OnRtcChange),
    KIND("watchdog", VIR_DOMAIN_EVENT_ID_WATCHDOG, OnWatchdog),
    KIND("io-error", VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, OnIoError),
    KIND("control-error", VIR_DOMAIN_EVENT_ID_CONTROL_ERROR, OnGeneric),
    KIND("guest-agent", VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, OnGuestAgent),
    KIND("device-added", VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, OnDevice),
    KIND("device-removed", VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, OnDevice),
    KIND("device-removal-failed", VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, OnDevice),
    KIND("block-job", VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, OnBlockJob),
    KIND("migration-iteration", VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, OnMigrationIteration),
    KIND("job-completed", VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, OnJobCompleted),
    KIND("balloon-change", VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, OnBalloonChange),
    KIND("metadata-change", VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, OnMetadataChange),
    KIND("pmsuspend", VIR_DOMAIN_EVENT_ID_PMSUSPEND, OnPowerManagement),
    KIND("pmsuspend-disk", VIR_DOMAIN_EVENT_ID_PMSUSPEND_DISK, OnPowerManagement),
    KIND("pmwakeup", VIR_DOMAIN_EVENT_ID_PMWAKEUP, OnPowerManagement),
};
#undef KIND

constexpr const char* kNetworkLifecycle = "network-lifecycle";

/** @returns whether the driver has it. */
bool Taken(int id, Listener* listener) {
  if (id >= 0) return true;
  delete listener;
  if (!LastErrorIsNoSupport()) ThrowLastError();
  virResetLastError();
  return false;
}

}  // namespace

Subscriptions Subscribe(virConnectPtr connection, const std::shared_ptr<ConnectionHandle>& handle,
                        const std::vector<std::string>& names) {
  const std::shared_ptr<Channel>& channel = handle->channel();
  const uint32_t number = handle->number();
  Subscriptions made;
  try {
    for (const auto& name : names) {
      if (name == kNetworkLifecycle) {
        auto* listener = new Listener{channel, number, kNetworkLifecycle};
        const int id =
            virConnectNetworkEventRegisterAny(connection, nullptr, VIR_NETWORK_EVENT_ID_LIFECYCLE,
                                              VIR_NETWORK_EVENT_CALLBACK(OnNetworkLifecycle), listener, FreeListener);
        if (Taken(id, listener)) made.network.push_back(id);
        else made.unsupported.push_back(name);
        continue;
      }
      for (const Kind& kind : kKinds) {
        if (name != kind.name) continue;
        auto* listener = new Listener{channel, number, kind.name};
        const int id =
            virConnectDomainEventRegisterAny(connection, nullptr, kind.id, kind.callback, listener, FreeListener);
        if (Taken(id, listener)) made.domain.push_back(id);
        else made.unsupported.push_back(name);
      }
    }
    void* opaque = reinterpret_cast<void*>(static_cast<uintptr_t>(number));
    made.close = Taken(virConnectRegisterCloseCallback(connection, OnClose, opaque, nullptr), nullptr);
    return made;
  } catch (...) {
    Unsubscribe(connection, made);
    throw;
  }
}

void Unsubscribe(virConnectPtr connection, const Subscriptions& subscriptions) {
  for (const int id : subscriptions.domain) virConnectDomainEventDeregisterAny(connection, id);
  for (const int id : subscriptions.network) virConnectNetworkEventDeregisterAny(connection, id);
  if (subscriptions.close) virConnectUnregisterCloseCallback(connection, OnClose);
}

}  // namespace weft
