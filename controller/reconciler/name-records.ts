import type { NamesGoal } from '../../agent/protocol/index.ts';
import { isApart, type PublicAddress, publicAddressOf } from '../model/public-address.ts';
import type { ApplicationRecord, VmRecord } from '../model/records.ts';
import type { Endpoint, Machine } from '../model/service.ts';
import { publishesTogether } from './edge-endpoints.ts';
import { asMade } from './former-endpoints.ts';
import { nameOf } from './placement.ts';

type NameRecord = NamesGoal['records'][number];

/** Short, so that a name that is gone, or has gone elsewhere, is not believed for long. */
export const TTL_SECONDS = 5;
/** All of an endpoint's instances are of equal use. */
const SERVICE_PRIORITY = 0;
const SERVICE_WEIGHT = 10;
/** Of more, any will do for who wants one of them; all have names of their own. */
const MOST_ADDRESSES = 64;
/** As many as an answer of 64 KiB holds, however long their names are: with more there might be none. */
const MOST_SERVICES = 200;

/** Where guests and users find what has a name. */
export interface Addresses {
  /** IPv4 first; an IPv6 address where there is one. */
  readonly ofVm: (vm: VmRecord) => readonly string[];
  /** Where what has this public address is served; what has none: at those of the edge hosts. */
  readonly ofPublished: (shared: PublicAddress | undefined) => readonly string[];
}

/** The zone as all its name servers have it, made from records alone. Records are sorted, and none is there twice. */
export function namesOf(
  zone: string,
  applications: Iterable<ApplicationRecord>,
  vms: Iterable<VmRecord>,
  addresses: Addresses,
): NamesGoal {
  const records = new Map<string, NameRecord>();
  const add = (record: NameRecord) => records.set(`${record.name} ${record.type} ${record.data}`, record);
  const byApplication = new Map<string, VmRecord[]>();
  for (const vm of vms)
    if (hasName(vm)) byApplication.set(vm.app, [...(byApplication.get(vm.app) ?? []), vm]);
  for (const application of applications) {
    const { name } = application;
    const placed = (byApplication.get(name) ?? []).sort(byId);
    for (const record of publicRecords(application, addresses)) add(record);
    for (const vm of placed) for (const record of ownRecords(vm, addresses.ofVm(vm))) add(record);
    for (const role of Object.keys(application.service.roles)) {
      const ready = placed.filter((vm) => vm.role === role && vm.state === 'ready');
      for (const vm of ready.slice(0, MOST_ADDRESSES))
        for (const record of addressRecords(`${role}.${name}`, addresses.ofVm(vm))) add(record);
      const { endpoints } = application.service.roles[role] ?? {};
      for (const record of serviceRecords(application, `${role}.${name}`, endpoints, ready)) add(record);
    }
    for (const [machine, { endpoints }] of Object.entries(application.service.machines)) {
      const ready = placed.filter(
        (vm) => vm.role === null && vm.state === 'ready' && nameOf(vm.id) === machine,
      );
      for (const record of serviceRecords(application, `${machine}.${name}`, endpoints, ready)) add(record);
    }
  }
  const sorted = [...records].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, record]) => record);
  return { zone, ttlSeconds: TTL_SECONDS, records: sorted };
}

/** What of a VM is in the zone: whatever else changes of it leaves all names as they are. */
export function namedPart(vm: VmRecord, application: ApplicationRecord | undefined): unknown {
  if (!hasName(vm)) return null;
  const isServing = vm.role !== null || hasServices(application?.service.machines[nameOf(vm.id)]);
  // Where it answers goes by what it was made from.
  return [vm.address, isServing && vm.state === 'ready', application?.former ? vm.definition : null];
}

/** Whether it is said where its endpoints answer, which they do while it is ready. */
const hasServices = (machine: Machine | undefined): boolean =>
  Object.values(machine?.endpoints ?? {}).some(({ type }) => type === 'internal');

/** It has a name while it has a place, whether it is ready or not; and none from the moment on at which it is to go. */
export const hasName = ({ deleting, host, incarnation, image, address }: VmRecord): boolean =>
  !deleting && host !== null && incarnation > 0 && image !== null && address !== '';

const byId = (one: VmRecord, other: VmRecord) => (one.id < other.id ? -1 : 1);

/** `web-0.web.crm` of an instance, `db.crm` of a machine. */
export const hostNameOf = ({ id, app, role }: Pick<VmRecord, 'id' | 'app' | 'role'>): string =>
  role === null ? `${nameOf(id)}.${app}` : `${nameOf(id)}.${role}.${app}`;

const addressRecords = (name: string, addresses: readonly string[]): NameRecord[] =>
  addresses.map((data) => ({ name, type: data.includes(':') ? 'AAAA' : 'A', data }));

/** A VM's own, whatever its state. */
export const ownRecords = (vm: VmRecord, addresses: readonly string[]): NameRecord[] =>
  addressRecords(hostNameOf(vm), addresses);

/** Of the application, and of each machine that is published apart: its own name is where guests reach it. */
function publicRecords(application: ApplicationRecord, { ofPublished }: Addresses): NameRecord[] {
  const { name, service } = application;
  const machines = Object.keys(service.machines).filter((machine) => isApart(application, machine));
  return [
    ...(publishesTogether(application) ? addressRecords(name, ofPublished(application.public)) : []),
    ...machines.flatMap((machine) =>
      addressRecords(`public.${machine}.${name}`, ofPublished(publicAddressOf(application, machine))),
    ),
  ];
}

/** `_sql._tcp.db.crm`: where an internal endpoint of a role or a machine answers, and on which port. @param owner `db.crm`. */
const serviceRecords = (
  application: ApplicationRecord,
  owner: string,
  endpoints: Readonly<Record<string, Endpoint>> | undefined,
  ready: readonly VmRecord[],
): NameRecord[] =>
  Object.entries(endpoints ?? {}).flatMap(([name, endpoint]) => {
    if (endpoint.type !== 'internal') return [];
    return ready.slice(0, MOST_SERVICES).map((vm): NameRecord => {
      const { protocol, targetPort } = asMade(application, vm, name, endpoint);
      // HTTP is spoken over TCP; what is neither says itself what it is over.
      const transport = protocol === 'http' ? 'tcp' : protocol;
      return {
        name: `_${name}._${transport}.${owner}`,
        type: 'SRV',
        data: `${SERVICE_PRIORITY} ${SERVICE_WEIGHT} ${targetPort} ${hostNameOf(vm)}`,
      };
    });
  });
