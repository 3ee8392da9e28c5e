import type { Filter } from '../contract.ts';

/** A host that drains takes nothing new; what is asked of it by name, because its disk or its place is there, it still takes. */
const YET_TO_STAY = 'the host has gone down several times within the hour and has yet to stay';

/** Whether a reason speaks of how a host is heard at the moment: with a host that comes and goes it changes without end, and what stands in the way stays the same. */
export const isPassing = (reason: string): boolean =>
  reason === YET_TO_STAY || /^the host is (?!draining$)/.test(reason);

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
            : YET_TO_STAY,
};
