import type { PoolPeers } from '../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../../controller/model/index.ts';
import { DEFAULT_SETTINGS, plan } from '../../controller/reconciler/plan.ts';
import type { LiveHost, World } from '../../controller/reconciler/world.ts';
import { FLEET } from './builders/goal.ts';
import { aHello, aHost } from './builders/host.ts';
import { aVm } from './builders/vm.ts';

const POOL_ID = '11111111-2222-4333-8444-555555555555';
const SHAPE = { pools: [{ name: 'san', kind: 'shared' as const, sizeMiB: 100_000, id: POOL_ID }] };
/** As long as a beat has to be found. */
export const GRACE_MS = 75_000;
export const START_MS = 10_000_000;

export const beatOf = (host: string, number = 1) =>
  `00000000-0000-4000-8000-${host.replace('h', '').padStart(4, '0')}${String(number).padStart(8, '0')}`;

/** A machine with its disk in the pool. */
export const aMachine = (overrides: Partial<VmRecord> = {}) =>
  aVm({
    ...{ id: 'crm/db', role: null, index: null, kind: 'machine', pool: 'san', networkId: 'crm/machines' },
    ...{ poolId: POOL_ID, diskIncarnation: 1, ...overrides },
  });

/** Hosts that share a pool by name and id, and a controller that plans at the times that a test says. */
export class PoolStage {
  hosts: Map<string, HostRecord>;
  vms = new Map<string, VmRecord>();
  /** Which storage each host has. */
  readonly storageOf: Map<string, string>;
  readonly beats = new Map<string, string[]>();
  readonly away = new Set<string>();
  readonly silent = new Set<string>();
  /** Not heard since the controller began. */
  readonly unheard = new Set<string>();
  listeningSinceMs = 0;
  /** Hosts that offer no such pool. */
  readonly #without = new Set<string>();
  nowMs = START_MS;
  ageMs = 0;
  nextMs: number | null = null;
  nextWaitMs: number | null = null;
  /** All events of the last pass, sorted. */
  told: string[] = [];

  constructor(storages: Readonly<Record<string, string>>) {
    this.storageOf = new Map(Object.entries(storages));
    this.hosts = new Map(Object.keys(storages).map((name) => [name, aHost(name, SHAPE)]));
    for (const name of this.storageOf.keys()) this.beats.set(name, [beatOf(name)]);
  }

  /** A pass after so long. @returns its events on pools and machines. */
  pass(afterMs = 0): string[] {
    this.nowMs += afterMs;
    const { puts, events, nextMs, nextWaitMs } = plan(this.#world(), this.nowMs, DEFAULT_SETTINGS);
    for (const { key, value } of puts) {
      const [kind, ...rest] = key.split('/');
      if (kind === 'hosts') this.hosts.set(rest.join('/'), value as HostRecord);
      if (kind === 'vms') this.vms.set(rest.join('/'), value as VmRecord);
    }
    this.nextMs = nextMs;
    this.nextWaitMs = nextWaitMs;
    this.told = events.map(({ kind, subject }) => `${kind} ${subject}`).sort();
    return events
      .filter(({ kind }) => /^(pool|machine)-/.test(kind))
      .map(({ kind, subject }) => `${kind} ${subject}`)
      .sort();
  }

  /** A pass, the grace time, and another pass. */
  settle(): string[] {
    return [...this.pass(), ...this.pass(GRACE_MS)];
  }

  get odd(): string[] {
    return [...this.hosts.values()].flatMap(({ name, apartPools }) => (apartPools?.san?.isOdd ? [name] : []));
  }

  #peers(name: string): PoolPeers[] {
    const others = [...this.storageOf].filter(
      ([other, storage]) => other !== name && storage === this.storageOf.get(name),
    );
    const seen = Object.fromEntries(others.map(([other]) => [other, String(this.beats.get(other)?.[0])]));
    return [{ pool: 'san', id: POOL_ID, beats: this.beats.get(name) ?? [], seen }];
  }

  #world(): World {
    const none = new Map();
    const live = [...this.hosts.keys()].map((name): [string, LiveHost] => {
      const isHeard = !this.unheard.has(name);
      const connected = isHeard && !this.away.has(name);
      return [
        name,
        {
          ...{
            connected,
            endedBecause: null,
            hello: isHeard ? aHello(name, this.#without.has(name) ? {} : SHAPE) : null,
            acknowledged: null,
          },
          lastHeardMs: connected ? this.nowMs : 1,
          report: {
            ...{ type: 'report', sequence: 1, atMs: 1, bootId: 'boot-1', revisionSeen: 1 },
            ...{ vms: [], blobs: [], strangers: [], leaving: [] },
            ...(this.silent.has(name) || this.#without.has(name)
              ? {}
              : { peers: this.#peers(name), peersAgeMs: this.ageMs }),
          },
        },
      ];
    });
    return {
      fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
      ...{ applications: none, claims: none, networks: none, tombstones: none },
      ...{ incarnations: none, fencing: none, backups: none, images: none },
      listeningSinceMs: this.listeningSinceMs,
      hosts: this.hosts,
      vms: this.vms,
      live: new Map(live),
    };
  }

  /** Another storage is mounted on a host, under the same name and with the same mark. */
  mounts(name: string, storage: string): void {
    this.storageOf.set(name, storage);
    const number = Number(this.beats.get(name)?.[0]?.slice(-8) ?? 0) + 1;
    this.beats.set(name, [beatOf(name, number)]);
  }

  /** Nothing is mounted on a host any more. */
  unmounts(name: string): void {
    this.storageOf.set(name, 'none');
    this.#without.add(name);
  }

  returns(name: string): void {
    this.away.delete(name);
  }

  /** The host is gone, with a proof that it is dead. */
  dies(name: string): void {
    this.away.add(name);
    this.hosts.set(name, {
      ...(this.hosts.get(name) as HostRecord),
      state: 'fenced',
      proof: { kind: 'operator', host: name, atMs: this.nowMs, detail: 'signed' },
    });
  }
}
