import { isSameDocument } from '../../../agent/kit/same-document.ts';
import { isApart, listAddresses, type PublicAddress } from '../../model/public-address.ts';
import { type PublicRange, parsePublicRange } from '../../model/public-ranges.ts';
import type { ApplicationRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { publishesTogether } from '../edge-endpoints.ts';
import { formerAddresses } from '../former-places.ts';
import { ownAddressesOf, PublicPool } from '../public-pool.ts';

type Addresses = Pick<ApplicationRecord, 'public' | 'publicMachines'>;

/**
 * Each application that publishes something has an address of the public ranges, for as long as it is there, and each machine that is to have
 * one of its own another, until nothing of the machine is left; where there is none left, none.
 */
export function followPublicAddresses(draft: Draft): void {
  const ranges = (draft.world.fleet.public ?? []).flatMap((text) => parsePublicRange(text) ?? []);
  const concerned = draft.of('applications', concernedBy);
  if (concerned.length === 0) return;
  const own = draft.of('hosts', ownAddressesOf);
  const pool = new PublicPool(ranges, draft.all('applications'), own, draft.world.fleet.devices ?? []);
  pool.holdBack(draft.of('hosts', formerAddresses));
  for (const application of concerned) {
    const { public: before, publicMachines: machinesBefore, ...rest } = application;
    const after = addressesOf(draft, application, ranges, pool);
    if (
      isSameDocument(before ?? null, after.public ?? null) &&
      isSameDocument(machinesBefore ?? null, after.publicMachines ?? null)
    )
      continue;
    draft.put('applications', application.name, { ...rest, ...after });
    tell(draft, application.name, before, after.public);
    for (const machine of namesOf(machinesBefore, after.publicMachines)) {
      const id = `${application.name}/${machine}`;
      tell(draft, id, machinesBefore?.[machine], after.publicMachines?.[machine]);
    }
  }
}

/** Those that publish something, or have an address. One that goes keeps all it has until its record goes. */
const concernedBy = (applications: readonly ApplicationRecord[]): readonly ApplicationRecord[] =>
  applications.filter(
    (application) =>
      !application.deleting &&
      (publishesTogether(application) ||
        apartOf(application).length > 0 ||
        application.public !== undefined ||
        application.publicMachines !== undefined),
  );

/** A public machine has an input endpoint: the model sees to that. */
const apartOf = (application: ApplicationRecord): readonly string[] =>
  Object.keys(application.service.machines).filter((machine) => isApart(application, machine));

function addressesOf(
  draft: Draft,
  application: ApplicationRecord,
  ranges: readonly PublicRange[],
  pool: PublicPool,
): Addresses {
  const { name, service, publicMachines = {} } = application;
  const isWanted = ranges.length > 0 && publishesTogether(application);
  const own = isWanted ? pool.settle(application.public) : null;
  const machines: Record<string, PublicAddress> = {};
  for (const machine of [...new Set([...Object.keys(publicMachines), ...apartOf(application)])].sort()) {
    const before = publicMachines[machine];
    const isGoing = !Object.hasOwn(service.machines, machine) && isLeft(draft, `${name}/${machine}`);
    const address = isApart(application, machine) ? pool.settle(before) : isGoing ? before : null;
    if (address) machines[machine] = address;
  }
  return {
    ...(own ? { public: own } : {}),
    ...(Object.keys(machines).length > 0 ? { publicMachines: machines } : {}),
  };
}

/** Its record, or what its host has yet to remove. */
const isLeft = (draft: Draft, id: string): boolean =>
  draft.get('vms', id) !== undefined || draft.get('tombstones', id) !== undefined;

const namesOf = (...each: readonly Addresses['publicMachines'][]): readonly string[] => [
  ...new Set(each.flatMap((machines) => Object.keys(machines ?? {}))),
];

function tell(
  draft: Draft,
  subject: string,
  before: PublicAddress | undefined,
  after: PublicAddress | undefined,
): void {
  if (isSameDocument(before ?? null, after ?? null)) return;
  const message = after
    ? `it is reached at ${listAddresses(after).join(' and ')}`
    : 'it has no public address any more';
  draft.tell('public-address', subject, message);
}
