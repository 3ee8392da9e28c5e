#pragma once

#include <libvirt/libvirt.h>

#include <memory>
#include <string>
#include <vector>

#include "handles.h"

namespace weft {

/** What a connection is subscribed to. A subscription holds a reference to the connection: it must end before its close. */
struct Subscriptions {
  std::vector<int> domain;
  std::vector<int> network;
  bool close = false;
  std::vector<std::string> unsupported;
};

/** Subscribes to the named events and to the connection's end, which also tells the handle's children. @throws Failure for any reason but that the driver lacks it. */
Subscriptions Subscribe(virConnectPtr connection, const std::shared_ptr<ConnectionHandle>& handle,
                        const std::vector<std::string>& names);

void Unsubscribe(virConnectPtr connection, const Subscriptions& subscriptions);

}  // namespace weft
