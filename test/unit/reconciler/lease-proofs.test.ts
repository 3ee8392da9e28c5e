import { describe, expect, test } from 'vitest';
import type { GuardState } from '../../../agent/protocol/index.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { leaseTerms, totalMs } from '../../../controller/reconciler/rules/leases.ts';
import type { World } from '../../../controller/reconciler/world.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHello, aHost } from '../../support/builders/host.ts';

const NOW = 10_000_000;
const WATCHDOG = { armed: true, dependable: true, timeoutMs: 10_000, identity: 'iTCO_wdt' };
const ARMED: GuardState = { leaseMs: 30_000, running: true, watchdog: WATCHDOG };
const DUE_MS = totalMs(leaseTerms({ guard: ARMED }) ?? { leaseMs: 0, watchdogTimeoutMs: 0, marginMs: 0 });

const down = (name: string, guard: GuardState | null, overrides: Partial<HostRecord> = {}) =>
  aHost(name, {}, { state: 'down', stateSinceMs: NOW - 200_000, guard, ...overrides });

function planned(hosts: readonly HostRecord[], ages: Readonly<Record<string, number>>) {
  const none = new Map();
  const world: World = {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    ...{ applications: none, vms: none, claims: none, networks: none, tombstones: none },
    ...{ incarnations: none, fencing: none, backups: none, images: none, live: none },
    hosts: new Map(hosts.map((host) => [host.name, host])),
    leaseAges: new Map(Object.entries(ages)),
    listeningSinceMs: 0,
  };
  const result = plan(world, NOW, DEFAULT_SETTINGS);
  const host = (name: string) =>
    result.puts.find(({ key }) => key === `hosts/${name}`)?.value as HostRecord | undefined;
  return { ...result, host };
}

describe('a lease that ran out', () => {
  test('proves a host dead after lease, watchdog timeout and margin, with all of them as evidence', () => {
    const { host, events } = planned([down('h1', ARMED)], { h1: DUE_MS });
    expect(host('h1')).toMatchObject({
      state: 'fenced',
      proof: {
        kind: 'lease-expired',
        host: 'h1',
        atMs: NOW,
        detail: expect.stringMatching(/^its lease ran out: .*iTCO_wdt, armed/),
        lease: {
          lastGrantMs: NOW - DUE_MS,
          leaseMs: 30_000,
          watchdogTimeoutMs: 10_000,
          marginMs: DUE_MS - 40_000,
        },
      },
    });
    expect(events).toMatchObject([{ kind: 'host-fenced', subject: 'h1' }]);
  });

  test('proves nothing a moment earlier, and is looked at again when it does', () => {
    const { host, nextMs } = planned([down('h1', ARMED)], { h1: DUE_MS - 1 });
    expect(host('h1')).toBeUndefined();
    expect(nextMs).toBe(NOW + 1);
  });

  test('proves nothing of a host that is up or suspect, however old its lease', () => {
    for (const state of ['up', 'suspect'] as const) {
      const silent = down('h1', ARMED, { state });
      const { host } = planned([silent], { h1: 10 * DUE_MS });
      expect(host('h1')?.state).not.toBe('fenced');
    }
  });

  test('proves nothing without a guard, without a watchdog that is armed, and with one that is not dependable', () => {
    const guards: readonly (GuardState | null)[] = [
      null,
      { ...ARMED, watchdog: null },
      { ...ARMED, running: false, watchdog: null },
      { ...ARMED, watchdog: { ...WATCHDOG, armed: false } },
      { ...ARMED, watchdog: { ...WATCHDOG, dependable: false } },
      { ...ARMED, watchdog: { ...WATCHDOG, timeoutMs: 0 } },
    ];
    for (const guard of guards) {
      const { host, nextMs } = planned([down('h1', guard)], { h1: 1e9 });
      expect([host('h1'), nextMs]).toEqual([undefined, null]);
    }
  });

  test('proves nothing while healing holds still', () => {
    const hosts = ['h1', 'h2', 'h3'].map((name) => down(name, ARMED));
    const { host, nextMs } = planned(hosts, { h1: 1e9, h2: 1e9, h3: 1e9 });
    expect([host('h1'), nextMs]).toEqual([undefined, null]);
  });

  test('is no news of a host that is already proven dead', () => {
    const proof = { kind: 'operator', host: 'h1', atMs: 1, detail: 'ann signed that it is dead' } as const;
    const { puts } = planned([down('h1', ARMED, { state: 'fenced', proof })], { h1: 1e9 });
    expect(puts).toEqual([]);
  });

  test('was of its machines only: that the host lives on is no news about its fence device', () => {
    const proof = { kind: 'lease-expired', host: 'h1', atMs: 1, detail: 'its lease ran out' } as const;
    const fenced = down('h1', ARMED, { state: 'fenced', proof });
    const hello = aHello('h1');
    const live = new Map([
      [
        'h1',
        { connected: true, lastHeardMs: NOW, hello, report: null, endedBecause: null, acknowledged: null },
      ],
    ]);
    const none = new Map();
    const world: World = {
      fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
      ...{ applications: none, vms: none, claims: none, networks: none, tombstones: none },
      ...{
        incarnations: none,
        fencing: none,
        backups: none,
        images: none,
        live,
        hosts: new Map([['h1', fenced]]),
      },
      listeningSinceMs: 0,
    };
    const { events } = plan(world, NOW, DEFAULT_SETTINGS);
    expect(events.map(({ kind }) => kind)).toEqual(['host-up']);
  });
});
