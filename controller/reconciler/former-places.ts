import type { PublicAddress } from '../model/public-address.ts';
import type { ApplicationRecord, HostRecord, NetworkRecord } from '../model/records.ts';

/** What edge hosts may still have, although nobody does any more: nobody else gets it. */
export const formerAddresses = (hosts: readonly HostRecord[]): readonly PublicAddress[] =>
  hosts.flatMap(({ formerAddresses: former = [] }) => former);

export const formerSubnets = (hosts: readonly HostRecord[]): ReadonlySet<number> =>
  new Set(hosts.flatMap(({ formerSubnets: former = [] }) => former));

/** Of hosts that may have been told of public addresses, or that may still have some. */
export const placedHosts = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter((host) => host.offer?.edge === true || hasFormer(host));

export const hasFormer = ({
  formerAddresses: addresses = [],
  formerSubnets: subnets = [],
}: HostRecord): boolean => addresses.length + subnets.length > 0;

/** Addresses that some application has. */
export const placesOf = (applications: readonly ApplicationRecord[]): readonly PublicAddress[] =>
  applications.flatMap(({ public: own, publicMachines = {} }) => [
    ...(own ? [own] : []),
    ...Object.values(publicMachines),
  ]);

export const numbersOf = (networks: readonly NetworkRecord[]): readonly number[] =>
  networks.map(({ number }) => number);
