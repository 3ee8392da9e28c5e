#pragma once

namespace weft::event_loop {

/**
 * Registers libvirt's default event implementation and starts the one thread that runs it, once a process. Must come
 * before the first virConnectOpen: a connection takes the implementation it finds, and none means no events or keep-alive.
 */
void Ensure();

}  // namespace weft::event_loop
