import type { HostRecord } from '../model/records.ts';
import { backboneGoalOf } from '../reconciler/backbone-goals.ts';
import { isColliding } from '../reconciler/collisions.ts';
import type { NetworkWorld } from '../reconciler/network-world.ts';

/**
 * Why no host carries what is declared: all of it would have to go between two hosts that exchange nothing, for one of them has no place on the
 * backbone, or does not encrypt where it has to be encrypted. Null: some of it is carried, or has no place yet.
 * @param from hosts of one end. @param to hosts of the other.
 */
export function notCarried(
  from: readonly string[],
  to: readonly string[],
  world: NetworkWorld,
): string | null {
  let first: string | null = null;
  for (const one of new Set(from))
    for (const other of new Set(to)) {
      const problem = one === other ? null : problemBetween(one, other, world);
      if (problem === null) return null;
      first ??= problem;
    }
  return first;
}

function problemBetween(one: string, other: string, world: NetworkWorld): string | null {
  const own = problemOf(one, other, world) ?? problemOf(other, one, world);
  if (own !== null) return own;
  // Answers go the other way.
  const untold = [
    [one, other],
    [other, one],
  ].find(([at, to]) => !placeOf(at ?? '', world)?.others.some(({ host }) => host === to));
  return untold ? `${untold[0]} sends nothing to ${untold[1]}: ${whyUntold(untold[1] ?? '', world)}` : null;
}

/** Why a host exchanges nothing with another one, or with any. */
function problemOf(host: string, other: string, world: NetworkWorld): string | null {
  const record = world.hosts.get(host);
  const standing = record?.encryption ?? null;
  if (standing?.state === 'untold')
    return `what goes to or from ${host} may not arrive: ${standing.problem ?? 'its agent has not heard of it'}`;
  // With one that cannot encrypt it goes on in the open, where it may.
  const isBroken = standing?.state === 'broken' && world.hosts.get(other)?.encryption?.state !== 'open';
  if (standing?.state === 'alone' || isBroken)
    return `what goes to or from ${host} would go unencrypted, which it may not: ${standing?.problem ?? 'it cannot encrypt'}`;
  return placeOf(host, world) ? null : `${host} has no place on the backbone: ${whyNone(record)}`;
}

/** As its goal has it: what collides and has no guests takes none. */
function placeOf(host: string, world: NetworkWorld): ReturnType<typeof backboneGoalOf> {
  const isApart =
    isColliding(world.hosts.get(host)) && ![...world.vms.values()].some((vm) => vm.host === host);
  return isApart ? undefined : backboneGoalOf(host, world);
}

function whyNone(record: HostRecord | undefined): string {
  if (!record) return 'it is no host of the fleet any more';
  if (!record.offer?.underlay) return 'its agent does not say where it is on the underlay';
  if (record.number === undefined) return 'the fleet has more hosts than places on it';
  return record.collision ?? 'its own network overlaps the backbone’s';
}

const whyUntold = (host: string, { hosts }: NetworkWorld): string =>
  `another host says that it is at ${hosts.get(host)?.offer?.underlay?.address} as well`;
