import type { Filter } from '../contract.ts';

/** A host that drains takes nothing new; what is asked of it by name, because its disk or its place is there, it still takes. */
export const hostState: Filter = {
  name: 'host-state',
  accepts: ({ only }, { host }) =>
    host.state === 'up' &&
    ((!host.draining && !host.heldOff && !host.collision && !host.alone) || only === host.name),
  reason: (_request, { host }) =>
    host.state !== 'up'
      ? `the host is ${host.state}`
      : host.draining
        ? 'the host is draining'
        : host.collision
          ? host.collision
          : host.alone
            ? `what goes between hosts has to be encrypted, and ${host.alone}`
            : 'the host has gone down several times within the hour and has yet to stay',
};
