import type { ClaimsRecord, VmRecord } from '../../../../controller/model/index.ts';
import type { Store } from '../../../../controller/store/contract.ts';
import { Records } from '../records.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import { addressesOf, sharing } from './addresses.ts';
import { Capacity } from './capacity.ts';
import { claimedOn, notMatching, placesOf } from './claims.ts';
import type { DiskContents } from './disk-contents.ts';
import { isCopiedFrom, machinesOn, onTwoHosts } from './machines-on-one-host.ts';
import { Maintenance } from './maintenance.ts';
import type { Fabric } from './rule.ts';

const KINDS = ['apps/', 'vms/', 'hosts/', 'claims/'] as const;

/**
 * Whatever holds of the fabric as it stands, checked over all of it, from what is in the store and on the hosts themselves: what the other
 * checks remember is not believed. @returns what is wrong.
 */
export async function fullCheck(
  store: Pick<Store, 'list'>,
  hosts: ReadonlyMap<string, SimulatedHost>,
  remembered: Records,
  contents: Pick<DiskContents, 'isCurrent'>,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  const records = new Records();
  for (const kind of KINDS)
    for (const { key, value } of (await store.list(kind)).entries) records.set(key, value);
  const fabric: Fabric = { records, hosts, violated: (what) => wrong.push(what) };
  for (const name of hosts.keys()) {
    new Capacity(fabric).check(name);
    new Maintenance(fabric).check(name);
  }
  checkClaims(fabric);
  checkShared(fabric, addresses(records.vms), sharing);
  checkShared(fabric, machines(hosts.values(), contents), onTwoHosts);
  if (describe(records) !== describe(remembered))
    wrong.push('what is remembered is not what is in the store');
  return wrong;
}

const addresses = (vms: readonly VmRecord[]) =>
  vms.flatMap((vm) => addressesOf(vm).map(({ address, who }) => [address, who] as const));

function machines(hosts: Iterable<SimulatedHost>, contents: Pick<DiskContents, 'isCurrent'>) {
  const all = [...hosts];
  return all.flatMap((host) =>
    [...machinesOn(host, contents)]
      .filter((id) => !isCopiedFrom(id, host, all))
      .map((id) => [id, host.name] as const),
  );
}

function checkShared(
  { violated }: Fabric,
  uses: readonly (readonly [what: string, who: string])[],
  describeUse: (what: string, who: Iterable<string>) => string,
): void {
  const users = new Map<string, string[]>();
  for (const [what, who] of uses) users.set(what, [...(users.get(what) ?? []), who]);
  for (const [what, who] of users) if (who.length > 1) violated(describeUse(what, who));
}

function checkClaims({ records, violated }: Fabric): void {
  const placed = new Set(records.vms.flatMap(placesOf));
  const claimed = new Set([...records.claims].flatMap(([host, claims]) => claimedOn(host, claims)));
  const without = [...placed].filter((key) => !claimed.has(key));
  const forNothing = [...claimed].filter((key) => !placed.has(key));
  if (without.length + forNothing.length > 0) violated(notMatching(without, forNothing));
}

/** Of each record what the checks live on. */
const describe = ({ vms, claims, hosts }: Records): string =>
  JSON.stringify([
    vms.map(({ id, incarnation, state, host }) => [id, incarnation, state, host]),
    [...claims].map(([host, { vms: on }]: [string, ClaimsRecord]) => [host, Object.keys(on)]).sort(),
    hosts.map(({ name, state, mode }) => [name, state, mode]).sort(),
  ]);
