import type { NetworkRecord } from '../model/records.ts';
import { derived } from './derived.ts';
import { edgeHosts } from './edge-hosts.ts';
import { networkHosts } from './network-host.ts';
import type { World } from './world.ts';

/** What the network's part of goals is made from. Its records never change: what follows from one may be kept by `derived`. */
export type NetworkWorld = Pick<
  World,
  'fleet' | 'applications' | 'networks' | 'hosts' | 'vms' | 'certificates' | 'challenges'
>;

/** What of a subnet's record is in goals; which addresses of it are taken is not. To be asked for by `viewOf`. */
export const subnetPart = ({ id, number, cidr, gateway }: NetworkRecord): Subnet => ({
  id,
  number,
  cidr,
  gateway,
});

export type Subnet = Pick<NetworkRecord, 'id' | 'number' | 'cidr' | 'gateway'>;

/** Names of the hosts that serve endpoints and names to the world. */
export const edgeHostsOf = ({ hosts }: Pick<NetworkWorld, 'hosts'>): ReadonlySet<string> =>
  derived(networkHosts(hosts), edgeHosts);
