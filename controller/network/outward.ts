import { asPrefix, overlap } from '../../agent/kit/addressing.ts';
import type { VmRecord } from '../model/records.ts';
import type { NetworkWorld } from '../reconciler/network-world.ts';
import { type Outbound, outboundOf, outboundOfGuest } from '../reconciler/outbound.ts';
import { nameOf } from '../reconciler/placement.ts';
import { machineOf, roleOf } from '../reconciler/retired.ts';
import { guestsOf, type Inside } from './ends.ts';
import { obstacleOf } from './obstacle.ts';

export interface Verdict {
  readonly allowed: boolean;
  /** What declares it; null: nothing does, and what nothing declares is dropped. */
  readonly rule: string | null;
  /** One sentence. */
  readonly reason: string;
}

/** Whether a connection to the world passes. @param address null: anywhere in it. */
export function outward(from: Inside, address: string | null, world: NetworkWorld): Verdict {
  const application = world.applications.get(from.app);
  const id = `${from.app}/${from.subnet}`;
  const guests = guestsOf(from);
  const role = roleOf(application, from.subnet);
  if (role) return reaches(id, outboundOf(role), guests, address, world);
  const verdicts = guests.map((vm) => {
    if (vm.role === null && machineOf(application, nameOf(vm.id)))
      return { vm, ...reaches(vm.id, outboundOfGuest(application, vm), [vm], address, world) };
    const reason = `${vm.id} is not declared any more, and nothing of it gets out`;
    return { vm, allowed: false, rule: null, reason };
  });
  const allowed = verdicts.filter((verdict) => verdict.allowed);
  const [first] = allowed.length > 0 ? allowed : verdicts;
  if (!first) return { allowed: false, rule: null, reason: `nothing is on ${id}` };
  const { vm: _first, ...verdict } = first;
  if (allowed.length === 0 || allowed.length === verdicts.length) return verdict;
  return { ...verdict, reason: `${verdict.reason}, of ${allowed.map(({ vm }) => vm.id).join(', ')} alone` };
}

function reaches(
  id: string,
  outbound: Outbound,
  guests: readonly VmRecord[],
  address: string | null,
  world: NetworkWorld,
): Verdict {
  const rule = `${id} outbound`;
  if (outbound.length === 0) return { allowed: false, rule, reason: `outbound of ${id} is false` };
  const listed = outbound === 'all' ? [] : outbound;
  const obstacle = address === null ? null : obstacleOf(address, guests, listed, world);
  if (obstacle !== null) return { allowed: false, rule: null, reason: obstacle };
  if (outbound === 'all') return { allowed: true, rule, reason: `outbound of ${id} is all of the world` };
  const only = `outbound of ${id} is ${outbound.join(', ')}`;
  if (address === null) return { allowed: true, rule, reason: `${only}, and nothing else` };
  const allowed = outbound.some((prefix) => overlap(prefix, asPrefix(address)));
  return { allowed, rule, reason: allowed ? only : `${only}, where ${address} is not` };
}
