import { describe, expect, test } from 'vitest';
import type { Report, VmReport } from '../../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { isNews } from '../../../controller/reconciler/report-news.ts';
import { WorldCache } from '../../../controller/reconciler/world-cache.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const vmReport = (overrides: Partial<VmReport> = {}): VmReport => ({
  ...{ id: 'crm/web-0', incarnation: 1, phase: 'ready', rebootGeneration: 0, steps: [], tasks: [], boots: 1 },
  ...overrides,
});
const aReport = (overrides: Partial<Report> = {}): Report => ({
  ...{ type: 'report', sequence: 1, atMs: 1, bootId: 'boot-1', revisionSeen: 1 },
  ...{ vms: [], blobs: [], strangers: [], leaving: [] },
  ...overrides,
});

interface Known {
  readonly host?: Partial<HostRecord>;
  readonly vm?: Partial<VmRecord>;
  readonly tombstone?: boolean;
}

function cacheOf({ host = {}, vm = {}, tombstone = false }: Known): WorldCache {
  const cache = new WorldCache();
  const entries = [
    { key: 'hosts/h1', value: aHost('h1', {}, { state: 'up', ...host }) },
    { key: 'vms/crm/web-0', value: aVm({ phase: 'ready', steps: [], tasks: [], ...vm }) },
    ...(tombstone ? [{ key: 'tombstones/crm/db', value: { id: 'crm/db', host: 'h1' } }] : []),
  ];
  cache.load(
    entries.map((entry) => ({ ...entry, revision: 1 })),
    1,
  );
  return cache;
}
const before = aReport({ vms: [vmReport()] });
/** As `kept-parts.ts` leaves it: what is the same is the same object. */
const now = (overrides: Partial<Report> = {}): Report => ({ ...before, revisionSeen: 2, ...overrides });

describe('a plan has nothing to do with a host that', () => {
  test('has looked with its newest goal, which nobody waits for', () => {
    expect(isNews('h1', before, now(), cacheOf({}))).toBe(false);
  });
  test('says once more of a VM what its record says', () => {
    expect(isNews('h1', before, now({ vms: [vmReport({ boots: 2 })] }), cacheOf({}))).toBe(false);
  });
  test('has connected anew, and has what it had', () => {
    expect(isNews('h1', undefined, now(), cacheOf({}))).toBe(false);
  });
  test('tells of an incarnation that its goal has left behind', () => {
    expect(isNews('h1', undefined, now(), cacheOf({ vm: { incarnation: 2 } }))).toBe(false);
  });
});

describe('a plan has nothing to do either with a host that', () => {
  test('has something on its way out, which nobody waits for', () => {
    expect(isNews('h1', before, now({ leaving: ['crm/web-7'] }), cacheOf({}))).toBe(false);
    expect(isNews('h1', undefined, now({ leaving: ['crm/web-7'] }), cacheOf({}))).toBe(false);
  });
  test('is in maintenance, and has looked with its newest goal', () => {
    const host = { draining: true, mode: 'maintenance' } as const;
    expect(isNews('h1', before, now(), cacheOf({ host, vm: { host: 'h2' } }))).toBe(false);
  });
  test('has connected anew, and says of its pools what is known', () => {
    const doctor = { atMs: 1, answered: [], count: 0, findings: [], fullPools: ['local'] };
    expect(isNews('h1', undefined, now({ doctor }), cacheOf({ host: { fullPools: ['local'] } }))).toBe(false);
    expect(isNews('h1', undefined, now({ doctor }), cacheOf({}))).toBe(true);
  });
});

describe('a plan is made for a host that', () => {
  test('has something on its way out that is waited for', () => {
    const leaving = now({ leaving: ['crm/web-7'] });
    expect(isNews('h1', before, leaving, cacheOf({ vm: { deleting: true } }))).toBe(true);
    const host = { draining: true, mode: 'maintenance' } as const;
    expect(isNews('h1', before, leaving, cacheOf({ host, vm: { host: 'h2' } }))).toBe(true);
  });
  test('is not up by its record', () => {
    expect(isNews('h1', before, before, cacheOf({ host: { state: 'suspect' } }))).toBe(true);
  });
  test('says something else of a VM than its record', () => {
    expect(isNews('h1', before, now({ vms: [vmReport({ phase: 'unready' })] }), cacheOf({}))).toBe(true);
    expect(isNews('h1', undefined, now(), cacheOf({ vm: { state: 'unknown' } }))).toBe(true);
  });
  test('knows a newer incarnation', () => {
    expect(isNews('h1', before, now({ vms: [vmReport({ newerFound: 3 })] }), cacheOf({}))).toBe(true);
  });
  test.each<[string, Partial<Report>]>([
    ['strangers', { strangers: [{ id: 'crm/db', incarnation: 1, running: true, disk: '/d' }] }],
    ['the word of its doctor', { doctor: { atMs: 1, answered: [], count: 0, findings: [], fullPools: [] } }],
    ['another boot', { bootId: 'boot-2' }],
  ])('has %s', (_what, overrides) => {
    expect(isNews('h1', before, now(overrides), cacheOf({}))).toBe(true);
  });
  test.each<[string, Known]>([
    ['drains', { host: { draining: true } }],
    ['is in maintenance', { host: { mode: 'maintenance' } }],
    ['is to hear of an incarnation that is over', { host: { superseded: { 'crm/web-3': 1 } } }],
    ['has a VM that goes', { vm: { deleting: true } }],
    ['has a VM that is to be off', { vm: { power: 'stopped' } }],
    ['has a VM that is to move', { vm: { moveTo: '*' } }],
    ['has a disk that is to go', { tombstone: true }],
  ])('has looked with its newest goal, and %s', (_what, known) => {
    expect(isNews('h1', before, now(), cacheOf(known))).toBe(true);
  });
});
