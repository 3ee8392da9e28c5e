import { describe, expect, test } from 'vitest';
import type { PoolPeers } from '../../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import type { LiveHost, World } from '../../../controller/reconciler/world.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHello, aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const POOL_ID = '11111111-2222-4333-8444-555555555555';
const SHAPE = { pools: [{ name: 'san', kind: 'shared' as const, sizeMiB: 100_000, id: POOL_ID }] };
const GRACE_MS = 75_000;
const START_MS = 10_000_000;

const beatOf = (host: string, number = 1) =>
  `00000000-0000-4000-8000-${host.replace('h', '').padStart(4, '0')}${String(number).padStart(8, '0')}`;

/** A machine with its disk in the pool. */
const aMachine = (overrides: Partial<VmRecord> = {}) =>
  aVm({
    ...{ id: 'crm/db', role: null, index: null, kind: 'machine', pool: 'san', networkId: 'crm/machines' },
    ...{ poolId: POOL_ID, diskIncarnation: 1, ...overrides },
  });

/** Hosts that share a pool by name and id, and a controller that plans at the times that a test says. */
class Stage {
  hosts: Map<string, HostRecord>;
  vms = new Map<string, VmRecord>();
  /** Which storage each host has. */
  readonly storageOf: Map<string, string>;
  readonly beats = new Map<string, string[]>();
  readonly away = new Set<string>();
  readonly silent = new Set<string>();
  nowMs = START_MS;
  ageMs = 0;
  nextMs: number | null = null;

  constructor(storages: Readonly<Record<string, string>>) {
    this.storageOf = new Map(Object.entries(storages));
    this.hosts = new Map(Object.keys(storages).map((name) => [name, aHost(name, SHAPE)]));
    for (const name of this.storageOf.keys()) this.beats.set(name, [beatOf(name)]);
  }

  /** A pass after so long. @returns its events on pools and machines. */
  pass(afterMs = 0): string[] {
    this.nowMs += afterMs;
    const { puts, events, nextMs } = plan(this.#world(), this.nowMs, DEFAULT_SETTINGS);
    for (const { key, value } of puts) {
      const [kind, ...rest] = key.split('/');
      if (kind === 'hosts') this.hosts.set(rest.join('/'), value as HostRecord);
      if (kind === 'vms') this.vms.set(rest.join('/'), value as VmRecord);
    }
    this.nextMs = nextMs;
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
      const connected = !this.away.has(name);
      return [
        name,
        {
          ...{ connected, endedBecause: null, hello: aHello(name, SHAPE), acknowledged: null },
          lastHeardMs: connected ? this.nowMs : 1,
          report: {
            ...{ type: 'report', sequence: 1, atMs: 1, bootId: 'boot-1', revisionSeen: 1 },
            ...{ vms: [], blobs: [], strangers: [], leaving: [] },
            ...(this.silent.has(name) ? {} : { peers: this.#peers(name), peersAgeMs: this.ageMs }),
          },
        },
      ];
    });
    return {
      fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
      ...{ applications: none, claims: none, networks: none, tombstones: none },
      ...{ incarnations: none, fencing: none, backups: none, images: none, listeningSinceMs: 0 },
      hosts: this.hosts,
      vms: this.vms,
      live: new Map(live),
    };
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

describe('hosts that share a pool in fact', () => {
  test('are known to at the first look, and nothing is planned for after that', () => {
    const stage = new Stage({ h1: 'a', h2: 'a' });
    expect(stage.pass()).toEqual([]);
    expect(stage.hosts.get('h1')?.sharedPools?.san?.seen).toEqual({ h2: true });
    expect(stage.nextMs).toBe(START_MS + 2_000);
    expect(stage.pass(GRACE_MS)).toEqual([]);
    expect(stage.odd).toEqual([]);
  });

  test('stay so while one writes anew and the other has yet to look', () => {
    const stage = new Stage({ h1: 'a', h2: 'a' });
    stage.settle();
    // h2 has renewed its beat; h1 looked before that.
    stage.beats.set('h2', [beatOf('h2', 2), beatOf('h2')]);
    expect(stage.settle()).toEqual([]);
    expect(stage.hosts.get('h1')?.sharedPools?.san?.seen).toEqual({ h2: true });
  });

  test('are not doubted because one is away, or its agent says nothing of pools', () => {
    const stage = new Stage({ h1: 'a', h2: 'a', h3: 'a' });
    stage.settle();
    stage.dies('h2');
    stage.silent.add('h3');
    // Its file is lost.
    stage.storageOf.set('h2', 'lost');
    expect(stage.settle()).toEqual([]);
    expect(stage.odd).toEqual([]);
  });
});

describe('hosts that share a pool by name only', () => {
  test('are found when both had their time, not before, and the one that fewer use is told of', () => {
    const stage = new Stage({ h1: 'a', h2: 'copy', h3: 'a' });
    stage.pass();
    expect(stage.pass(GRACE_MS - 1)).toEqual([]);
    expect(stage.nextMs).toBeLessThanOrEqual(stage.nowMs + 10_000);
    expect(stage.pass(1)).toEqual(['pool-apart h1', 'pool-apart h2', 'pool-apart h3']);
    expect(stage.odd).toEqual(['h2']);
    expect(stage.hosts.get('h1')?.apartPools?.san).toEqual({ from: ['h2'], isOdd: false });
    expect(stage.hosts.get('h2')?.apartPools?.san).toEqual({ from: ['h1', 'h3'], isOdd: true });
    expect(stage.pass(GRACE_MS)).toEqual([]);
  });

  test('are not when the look that shows nothing is an old one', () => {
    const stage = new Stage({ h1: 'a', h2: 'copy' });
    stage.ageMs = GRACE_MS + 1;
    expect([...stage.settle(), ...stage.pass(1)]).toEqual([]);
    stage.ageMs = 0;
    expect(stage.pass(1)).toEqual(['pool-apart h1', 'pool-apart h2']);
  });

  test('are one again when the storage is mounted', () => {
    const stage = new Stage({ h1: 'a', h2: 'copy' });
    stage.settle();
    stage.storageOf.set('h2', 'a');
    stage.beats.set('h2', [beatOf('h2', 2)]);
    expect(stage.pass()).toEqual(['pool-together h1', 'pool-together h2']);
    expect(stage.odd).toEqual([]);
  });

  test('include one whose storage was swapped under it', () => {
    const stage = new Stage({ h1: 'a', h2: 'a' });
    stage.settle();
    stage.storageOf.set('h2', 'copy');
    stage.beats.set('h2', [beatOf('h2', 2)]);
    expect(stage.settle()).toEqual(['pool-apart h1', 'pool-apart h2']);
  });

  test('the storage with machines on it is the one that counts, and stays it while its host is away', () => {
    const stage = new Stage({ h1: 'a', h2: 'copy', h3: 'a' });
    stage.vms.set('crm/db', aMachine({ host: 'h2' }));
    stage.settle();
    expect(stage.odd).toEqual(['h1', 'h3']);
    stage.dies('h2');
    stage.pass();
    expect(stage.hosts.get('h1')?.apartPools?.san?.from).toEqual(['h2']);
  });
});

describe('a machine whose host is dead', () => {
  const dbOf = (stage: Stage) => stage.vms.get('crm/db');

  test('goes on where its disk is, and not on a copy that has more room', () => {
    const stage = new Stage({ h1: 'a', h2: 'copy', h3: 'a' });
    stage.vms.set('crm/db', aMachine());
    stage.settle();
    stage.dies('h1');
    expect(stage.pass()).toEqual(['machine-restarted crm/db']);
    expect(dbOf(stage)?.host).toBe('h3');
  });

  test('waits, and says why, when there are copies only', () => {
    const stage = new Stage({ h1: 'a', h2: 'copy' });
    stage.vms.set('crm/db', aMachine());
    stage.settle();
    stage.dies('h1');
    expect(stage.pass()).toEqual([]);
    expect(dbOf(stage)).toMatchObject({ state: 'unknown', host: 'h1' });
    expect(JSON.stringify(dbOf(stage)?.placement)).toContain('is a copy or another mount');
    // The operator mounts the storage, where the dead host has left its beat.
    stage.storageOf.set('h2', 'a');
    stage.beats.set('h2', [beatOf('h2', 2)]);
    expect(stage.pass()).toEqual(['machine-restarted crm/db', 'pool-together h2']);
    expect(dbOf(stage)?.host).toBe('h2');
  });

  test('waits for the first look of a host that has just joined', () => {
    const stage = new Stage({ h1: 'a', h2: 'a' });
    stage.vms.set('crm/db', aMachine());
    // It looked before there was anything to be found.
    stage.storageOf.set('h2', 'not looked yet');
    stage.pass();
    stage.dies('h1');
    expect(stage.pass()).toEqual([]);
    expect(JSON.stringify(dbOf(stage)?.placement)).toContain('has yet to find');
    stage.storageOf.set('h2', 'a');
    expect(stage.pass()).toEqual(['machine-restarted crm/db']);
  });

  test('goes by name and id where an agent leaves nothing in its pools', () => {
    const stage = new Stage({ h1: 'a', h2: 'a' });
    stage.vms.set('crm/db', aMachine());
    stage.silent.add('h2');
    stage.pass();
    stage.dies('h1');
    expect(stage.pass()).toEqual(['machine-restarted crm/db']);
  });

  test('that died before anybody could look goes by what it left', () => {
    const stage = new Stage({ h1: 'a', h2: 'copy' });
    stage.vms.set('crm/db', aMachine());
    stage.pass();
    stage.dies('h1');
    stage.hosts.set('h1', { ...(stage.hosts.get('h1') as HostRecord), proof: null, state: 'down' });
    stage.pass(GRACE_MS);
    stage.dies('h1');
    expect(stage.pass()).toEqual([]);
    expect(dbOf(stage)?.host).toBe('h1');
  });
});
