import type {
  ApplicationRecord,
  ClaimsRecord,
  HostRecord,
  VmRecord,
} from '../../../controller/model/index.ts';
import type { Entry } from '../../../controller/store/contract.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** What is remembered over a whole run. */
export interface History {
  /** VM id → the highest incarnation it ever had, under any record of that id. */
  readonly incarnations: Map<string, number>;
  /** VM id → when the record was made that had it. */
  readonly createdAtMs: Map<string, number>;
  /** Machine id → where it was placed last, of which record of that id. */
  /** VM id → its record after the last step, and whether it ran then. */
  readonly last: Map<string, { readonly vm: VmRecord; readonly ran: boolean }>;
  readonly machineHosts: Map<string, { readonly host: string; readonly createdAtMs: number }>;
}

export interface Records {
  readonly applications: readonly ApplicationRecord[];
  readonly vms: readonly VmRecord[];
  readonly hosts: readonly HostRecord[];
  readonly claims: ReadonlyMap<string, ClaimsRecord>;
  readonly keys: readonly string[];
}

export function recordsOf(entries: readonly Entry[]): Records {
  const under = <T>(prefix: string) =>
    entries.filter(({ key }) => key.startsWith(prefix)).map(({ value }) => value as T);
  return {
    applications: under('apps/'),
    vms: under('vms/'),
    hosts: under('hosts/'),
    claims: new Map(
      entries
        .filter(({ key }) => key.startsWith('claims/'))
        .map(({ key, value }) => [key.slice('claims/'.length), value as ClaimsRecord]),
    ),
    keys: entries.map(({ key }) => key),
  };
}

type Invariant = (records: Records, hosts: readonly SimulatedHost[], history: History) => readonly string[];

/** Each is checked after every step of a simulation; what it returns are its violations. */
export const INVARIANTS: Readonly<Record<string, Invariant>> = {
  'a machine is never on two hosts': (_records, hosts) => {
    const seen = new Map<string, string>();
    return hosts.flatMap((host) => {
      const mine = new Set([
        ...host.machineDisks,
        ...[...host.domains.values()].filter(({ kind }) => kind === 'machine').map(({ vmId }) => vmId),
      ]);
      return [...mine].flatMap((id) => {
        const other = seen.get(id);
        seen.set(id, host.name);
        return other === undefined ? [] : [`${id} is on ${other} and on ${host.name}`];
      });
    });
  },

  'a machine changes its host by proof only': ({ vms }, hosts, { machineHosts }) =>
    vms
      .filter(({ kind, host }) => kind === 'machine' && host !== null)
      .flatMap(({ id, host, createdAtMs, proof }) => {
        const before = machineHosts.get(id);
        machineHosts.set(id, { host: host ?? '', createdAtMs });
        // One that was deleted and made again has another disk.
        if (!before || before.host === host || before.createdAtMs !== createdAtMs) return [];
        const old = hosts.find(({ name }) => name === before.host);
        return [
          ...(proof?.host === before.host
            ? []
            : [`${id} went from ${before.host} to ${host} without a proof`]),
          ...(old?.domains.has(id) ? [`${id} went to ${host} while it runs on ${before.host}`] : []),
        ];
      }),

  'incarnations only grow': ({ vms }, _hosts, { incarnations, createdAtMs }) =>
    vms.flatMap(({ id, incarnation, host, createdAtMs: madeAtMs }) => {
      const before = incarnations.get(id) ?? 0;
      // Made anew and not placed yet: it stands at what was used before.
      const sameRecord = createdAtMs.get(id) === madeAtMs;
      if (host === null && incarnation === before) return [];
      createdAtMs.set(id, madeAtMs);
      incarnations.set(id, Math.max(before, incarnation));
      if (incarnation > before || (sameRecord && incarnation === before)) return [];
      return [`${id} has incarnation ${incarnation} after ${before}`];
    }),

  'capacity is never over-promised': ({ claims, hosts }) =>
    hosts.flatMap(({ name, offer }) => {
      if (!offer) return [];
      const vms = Object.values(claims.get(name)?.vms ?? {});
      const memoryMiB = vms.reduce((sum, claim) => sum + claim.memoryMiB, 0);
      const cpus = vms.reduce((sum, claim) => sum + claim.cpus, 0);
      return memoryMiB <= offer.memoryMiB && cpus <= offer.cpus * offer.cpuRatio
        ? []
        : [`${name} promises ${memoryMiB} MiB and ${cpus} CPUs`];
    }),

  'every placed VM has exactly its claim': ({ vms, claims }) => {
    const wanted = vms
      .flatMap(({ id, incarnation, host, successor }) => [
        { id, incarnation, host },
        { id, ...successor },
      ])
      .filter(({ host }) => typeof host === 'string')
      .map(({ id, incarnation, host }) => `${host} ${id}@${incarnation}`)
      .sort();
    const have = [...claims]
      .flatMap(([host, { vms }]) => Object.keys(vms).map((key) => `${host} ${key}`))
      .sort();
    return wanted.join() === have.join() ? [] : [`placed ${wanted.join(', ')}; claimed ${have.join(', ')}`];
  },

  'the highest index goes first': ({ vms }) =>
    vms
      .filter(({ deleting, role }) => deleting && role !== null)
      .flatMap((going) =>
        vms
          .filter(
            (vm) =>
              vm.app === going.app &&
              vm.role === going.role &&
              !vm.deleting &&
              (vm.index ?? 0) > (going.index ?? 0) &&
              vm.createdAtMs < going.stateSinceMs,
          )
          .map((vm) => `${going.id} goes before ${vm.id}`),
      ),

  'no two VMs share an address': ({ vms }) => {
    const addresses = vms.flatMap(({ address, role, successor }) =>
      successor && role !== null ? [address, successor.address] : [address],
    );
    return addresses.length === new Set(addresses).size ? [] : [`${addresses.sort().join(', ')}`];
  },

  'what leaves a host that drains goes when its successor is ready': (
    { vms, hosts },
    simulated,
    { last },
  ) => {
    const runs = (host: string | null, id: string, incarnation: number) =>
      simulated.find(({ name }) => name === host)?.domains.get(id)?.incarnation === incarnation;
    return vms.flatMap((vm) => {
      const before = last.get(vm.id);
      last.set(vm.id, { vm, ran: runs(vm.host, vm.id, vm.incarnation) });
      if (!before?.ran || vm.role === null || before.vm.createdAtMs !== vm.createdAtMs) return [];
      const { host, state, incarnation, successor } = before.vm;
      const home = hosts.find(({ name }) => name === host);
      // It ran, and was ready, on a host that drains and is up. What has another definition was replaced, which is another matter.
      if (vm.definition !== before.vm.definition) return [];
      if (!home?.draining || home.state !== 'up' || state !== 'ready' || vm.host === host) return [];
      if (vm.incarnation !== successor?.incarnation)
        return [`${vm.id}@${incarnation} left ${host} for ${vm.incarnation} on ${vm.host}`];
      const there = simulated.find(({ name }) => name === vm.host);
      return !there?.powered || runs(vm.host, vm.id, vm.incarnation)
        ? []
        : [`${vm.id}@${incarnation} left ${host} before ${vm.incarnation} was ready on ${vm.host}`];
    });
  },

  'what is gone from a host that is in maintenance is gone': ({ hosts }, simulated) =>
    hosts.flatMap(({ name, mode, state }) => {
      if (mode !== 'maintenance' || state !== 'up') return [];
      const domains = simulated.find((host) => host.name === name)?.domains;
      return domains && domains.size > 0 ? [`${name} has ${[...domains.keys()].join(', ')}`] : [];
    }),
};
