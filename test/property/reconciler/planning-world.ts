import {
  type MigrationReport,
  PROVES_STOPS,
  type Report,
  type VmReport,
} from '../../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { successorView } from '../../../controller/model/successor.ts';
import type { Plan } from '../../../controller/reconciler/plan.ts';
import type { Kind, RecordOf, World } from '../../../controller/reconciler/world.ts';
import { PREFIXES } from '../../../controller/reconciler/world.ts';
import { aVmGoal, FLEET } from '../../support/builders/goal.ts';
import { aHello } from '../../support/builders/host.ts';

type Records = { readonly [K in Kind]: Map<string, RecordOf[K]> };

/** Records, hosts that do at once what the records say, and a time of one's own. */
export class PlanningWorld {
  nowMs = 1_000_000;
  /** What agents can do. */
  capabilities: readonly string[] = [PROVES_STOPS];
  /** What a host says of machines that are handed over. */
  sayOfMigrations: (host: string) => readonly MigrationReport[] = () => [];
  /** What every host says that its pool `local` has left; null: nothing is said of pools. */
  freeMiB: number | null = null;
  readonly records: Records = {
    applications: new Map(),
    vms: new Map(),
    hosts: new Map(),
    claims: new Map(),
    networks: new Map(),
    tombstones: new Map(),
    incarnations: new Map(),
    fencing: new Map(),
    backups: new Map(),
    certificates: new Map(),
    challenges: new Map(),
  };
  readonly #silent = new Set<string>();
  #reports = new Map<string, Report>();

  addHost(record: HostRecord): void {
    this.put(`hosts/${record.name}`, record);
  }

  /** Nothing was ever heard of it, nor will be. */
  silence(host: string): void {
    this.#silent.add(host);
  }

  /** It is there again. */
  hear(host: string): void {
    this.#silent.delete(host);
  }

  pass(forMs: number): void {
    this.nowMs += forMs;
  }

  put(storeKey: string, value: unknown): void {
    const { records, key } = this.#placeOf(storeKey);
    records.set(key, value);
  }

  write({ puts, deletes }: Plan): void {
    for (const { key, value } of puts) this.put(key, value);
    for (const storeKey of deletes) {
      const { records, key } = this.#placeOf(storeKey);
      records.delete(key);
    }
  }

  /** Every host that is not silent runs what is placed on it, ready unless told otherwise, and nothing else. */
  letHostsFollow(say: (vm: VmRecord) => Partial<VmReport> = () => ({})): void {
    this.#reports = new Map();
    for (const host of this.records.hosts.keys())
      if (!this.#silent.has(host)) this.#reports.set(host, this.#reportOf(host, say));
  }

  snapshot(): World {
    const { nowMs } = this;
    return {
      ...this.records,
      fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
      live: new Map(
        [...this.records.hosts.keys()].map((name) => {
          const silent = this.#silent.has(name);
          return [
            name,
            {
              connected: !silent,
              lastHeardMs: silent ? 0 : nowMs,
              hello: silent ? null : this.#helloOf(name),
              endedBecause: null,
              report: this.#reports.get(name) ?? null,
              acknowledged: this.#reports.has(name) ? new Set(this.#named(name).map(({ id }) => id)) : null,
            },
          ];
        }),
      ),
      images: new Map([
        [
          'tiny:stable',
          {
            image: {
              name: 'tiny',
              version: '1',
              goal: aVmGoal().image,
              virtualSizeBytes: 1,
              sizeBytes: 1,
              sourceFormat: 'qcow2',
              createdAtMs: 0,
              sshKeySecret: null,
            },
            failure: null,
            ms: 0,
          },
        ],
      ]),
      listeningSinceMs: 0,
    };
  }

  /** It offers what its record says. */
  #helloOf(name: string) {
    const hello = aHello(name);
    const { offer, facts } = this.records.hosts.get(name) ?? hello;
    return {
      ...hello,
      capabilities: [...this.capabilities],
      offer: offer ?? hello.offer,
      facts: facts ?? hello.facts,
    };
  }

  #named(host: string) {
    return [...this.records.vms.values()]
      .flatMap((vm) => [vm, successorView(vm)])
      .filter((vm) => vm !== null)
      .filter((vm) => vm.host === host && !vm.deleting);
  }

  #reportOf(host: string, say: (vm: VmRecord) => Partial<VmReport>): Report {
    return {
      type: 'report',
      sequence: 1,
      atMs: this.nowMs,
      bootId: 'boot-1',
      revisionSeen: 1,
      vms: this.#named(host).map((vm) => ({
        id: vm.id,
        incarnation: vm.incarnation,
        phase: vm.power === 'stopped' ? ('stopped' as const) : ('ready' as const),
        rebootGeneration: vm.rebootGeneration,
        steps: [],
        tasks: [],
        boots: 1,
        ...say(vm),
      })),
      blobs: [],
      strangers: [],
      leaving: [],
      migrations: [...this.sayOfMigrations(host)],
      ...(this.freeMiB === null ? {} : { metrics: this.#metrics(this.freeMiB) }),
    };
  }

  #metrics(freeMiB: number): NonNullable<Report['metrics']> {
    const pools = [{ name: 'local', freeMiB, totalMiB: 102_400 }];
    return { cpuPercent: 1, memoryUsedMiB: 1, pools, agentRssMiB: 1 };
  }

  #placeOf(storeKey: string): { records: Map<string, unknown>; key: string } {
    for (const [kind, prefix] of Object.entries(PREFIXES))
      if (storeKey.startsWith(prefix))
        return {
          records: this.records[kind as Kind] as Map<string, unknown>,
          key: storeKey.slice(prefix.length),
        };
    throw new TypeError(`no records under ${storeKey}`);
  }
}
