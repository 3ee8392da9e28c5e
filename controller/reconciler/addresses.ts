import { WeftError } from '../../agent/kit/errors.ts';
import type { NetworkRecord } from '../model/records.ts';
import type { Draft } from './draft.ts';

/** Addresses in a role's subnet, a /22. */
const SUBNET_ADDRESSES = 1024;
/** .1 is the gateway; a few are left for what comes. */
const FIRST_ADDRESS = 10;
const LAST_ADDRESS = SUBNET_ADDRESSES - 2;

/** Machines of an application share one subnet under this name; no role may be called so. */
export const MACHINES = 'machines';

/** The role's subnet, made when there is none: the lowest free /22 of the fleet's range. */
export function networkOf(draft: Draft, app: string, role: string): NetworkRecord {
  const id = `${app}/${role}`;
  const known = draft.get('networks', id);
  if (known) return known;
  const taken = new Set([...draft.all('networks')].map((network) => network.number));
  let number = 1;
  while (taken.has(number)) number++;
  const { base, size } = parseCidr(draft.world.fleet.range);
  if (number * SUBNET_ADDRESSES > size)
    throw new WeftError('no-capacity', `the fleet's range ${draft.world.fleet.range} has no subnet left`);
  const start = base + (number - 1) * SUBNET_ADDRESSES;
  const network: NetworkRecord = {
    id,
    number,
    cidr: `${formatAddress(start)}/22`,
    gateway: formatAddress(start + 1),
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
  const { base } = parseCidr(network.cidr);
  const current = draft.get('networks', network.id) ?? network;
  const mine = current.addresses[vmId];
  if (mine !== undefined) return { address: mine, mac: macOf(mine) };
  const taken = new Set(Object.values(current.addresses));
  for (let offset = FIRST_ADDRESS; offset <= LAST_ADDRESS; offset++) {
    const address = formatAddress(base + offset);
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

/** Locally administered, QEMU's prefix, then the address: unique wherever the address is. */
function macOf(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['52', '54', ...bytes].join(':');
}

function parseCidr(cidr: string): { base: number; size: number } {
  const [address = '', prefix = '32'] = cidr.split('/');
  const base = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return { base, size: 2 ** (32 - Number(prefix)) };
}

const formatAddress = (value: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
