import type { ApplicationRecord } from './records.ts';

/** Where the world reaches an application or a machine: one address of the fleet's public ranges, or one of each family. */
export interface PublicAddress {
  /** IPv4. */
  readonly address: string;
  readonly prefix: number;
  /** Number of the virtual router that has it, on one edge host at a time; no two have one number. */
  readonly routerId: number;
  /** Of IPv6, where the fleet has such ranges: it is where the other one is. */
  readonly address6?: { readonly address: string; readonly prefix: number };
}

/** IPv4 first. Empty: it has none. */
export const listAddresses = (shared: PublicAddress | undefined): readonly string[] =>
  shared ? [shared.address, ...(shared.address6 ? [shared.address6.address] : [])] : [];

/** A machine that is to have a public address of its own, or that has it while it drains. */
export const isApart = (
  { service, retiredMachines = {} }: Pick<ApplicationRecord, 'service' | 'retiredMachines'>,
  owner: string,
): boolean =>
  [service.machines, retiredMachines].find((machines) => Object.hasOwn(machines, owner))?.[owner]?.public ===
  true;

/** Which public address a role or machine of an application is reached at. Undefined: that of no one; edge hosts serve it at their own. */
export const publicAddressOf = (
  application: Pick<ApplicationRecord, 'service' | 'public' | 'publicMachines' | 'retiredMachines'>,
  owner: string,
): PublicAddress | undefined =>
  isApart(application, owner) ? application.publicMachines?.[owner] : application.public;
