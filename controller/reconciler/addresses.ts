import { addressAt, macOf, parseRange, SUBNET_ADDRESSES } from '../../agent/kit/addressing.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import type { NetworkRecord } from '../model/records.ts';
import type { Draft } from './draft.ts';
import { formerSubnets } from './former-places.ts';
import { freeNumber, subnetsIn } from './subnet-numbers.ts';

/** .1 is the gateway; a few are left for what comes. */
const FIRST_ADDRESS = 10;
const LAST_ADDRESS = SUBNET_ADDRESSES - 2;
/** That guests may have on one subnet. */
export const MOST_ADDRESSES = LAST_ADDRESS - FIRST_ADDRESS + 1;

/** A subnet of an application, of a role or of machines; made when there is none. */
export function networkOf(draft: Draft, app: string, name: string): NetworkRecord {
  const id = `${app}/${name}`;
  const known = draft.get('networks', id);
  if (known) return known;
  const { range } = draft.world.fleet;
  const number = freeNumber(app, draft.all('networks'), subnetsIn(range), draft.of('hosts', formerSubnets));
  if (number === null) throw new WeftError('no-capacity', `the fleet's range ${range} has no subnet left`);
  const start = parseRange(range).base + (number - 1) * SUBNET_ADDRESSES;
  const network: NetworkRecord = {
    id,
    number,
    cidr: `${addressAt(start)}/22`,
    gateway: addressAt(start + 1),
    addresses: {},
  };
  draft.put('networks', id, network);
  return network;
}

/** Gives a VM the lowest free address of its subnet, and the MAC made from it. */
export function takeAddress(
  draft: Draft,
  network: NetworkRecord,
  vmId: string,
): { address: string; mac: string } {
  const { base } = parseRange(network.cidr);
  const current = draft.get('networks', network.id) ?? network;
  const mine = current.addresses[vmId];
  if (mine !== undefined) return { address: mine, mac: macOf(mine) };
  const taken = new Set(Object.values(current.addresses));
  for (let offset = FIRST_ADDRESS; offset <= LAST_ADDRESS; offset++) {
    const address = addressAt(base + offset);
    if (taken.has(address)) continue;
    draft.put('networks', network.id, { ...current, addresses: { ...current.addresses, [vmId]: address } });
    return { address, mac: macOf(address) };
  }
  throw new WeftError('no-capacity', `subnet ${network.cidr} of ${network.id} has no address left`);
}

/** Gives an address back; a subnet without any goes. */
export function releaseAddress(draft: Draft, networkId: string, vmId: string): void {
  const network = draft.get('networks', networkId);
  if (!network) return;
  const { [vmId]: _released, ...addresses } = network.addresses;
  if (Object.keys(addresses).length === 0) draft.delete('networks', networkId);
  else draft.put('networks', networkId, { ...network, addresses });
}

/** What a VM had is kept under another name, until nothing has it any more. */
export function keepAddress(draft: Draft, networkId: string, vmId: string, keptName: string): void {
  const network = draft.get('networks', networkId);
  const address = network?.addresses[vmId];
  if (!network || address === undefined) return;
  const { [vmId]: _own, ...others } = network.addresses;
  draft.put('networks', networkId, { ...network, addresses: { ...others, [keptName]: address } });
}

/** The VM has the address that was kept for its successor; its own is kept under another name, until nothing has it any more. */
export function exchangeAddresses(
  draft: Draft,
  networkId: string,
  names: { readonly vmId: string; readonly successor: string; readonly old: string },
): void {
  const network = draft.get('networks', networkId);
  if (!network) return;
  const { [names.successor]: next, [names.vmId]: before, ...others } = network.addresses;
  if (next === undefined) return;
  const addresses = {
    ...others,
    [names.vmId]: next,
    ...(before === undefined ? {} : { [names.old]: before }),
  };
  draft.put('networks', networkId, { ...network, addresses });
}
