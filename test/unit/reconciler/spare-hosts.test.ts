import { expect, test } from 'vitest';
import type { HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { spareImages, sparesThatDiffer, touchSpares } from '../../../controller/reconciler/spare-hosts.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const hosts = (...all: HostRecord[]) => new Map(all.map((host) => [host.name, host]));
const vms = (...all: VmRecord[]) => new Map(all.map((vm) => [vm.id, vm]));
const names = (spares: ReturnType<typeof spareImages>) => [...spares.keys()].sort();

test('hosts that could run it, and do not, have the image of an instance ready', () => {
  const away = aHost('h4', {}, { state: 'down' });
  const leaving = aHost('h5', {}, { draining: true });
  const full = aHost('h6', {}, { fullPools: ['local'] });
  const other = aHost('h7', { architecture: 'aarch64' });
  const spares = spareImages(
    vms(aVm()),
    hosts(aHost('h1'), aHost('h2'), aHost('h3'), away, leaving, full, other),
  );
  expect(names(spares)).toEqual(['h2', 'h3']);
  expect(spares.get('h2')).toEqual(spares.get('h3'));
  expect(spares.get('h2')?.map(({ digest }) => digest)).toEqual(
    aVm()
      .image?.layers.map(({ digest }) => digest)
      .slice(0, 1),
  );
});

test.each([
  ['one that is being started for the first time', { state: 'booting', readyAtMs: null }, []],
  ['one that is made anew after it has run', { state: 'booting', readyAtMs: null, incarnation: 2 }, ['h2']],
  ['one that goes', { deleting: true }, []],
  ['a machine, whose disk is where it is', { kind: 'machine', role: null }, []],
  ['one without a host', { host: null }, []],
  ['one on a pool that the other host has not', { pool: 'fast' }, []],
] satisfies [string, Partial<VmRecord>, string[]][])('of %s', (_what, overrides, expected) => {
  expect(names(spareImages(vms(aVm(overrides)), hosts(aHost('h1'), aHost('h2'))))).toEqual(expected);
});

test('of a large fleet eight hosts, of which one that goes is replaced by one that was none', () => {
  const fleet = Array.from({ length: 40 }, (_none, index) => aHost(`h${index + 1}`));
  const before = spareImages(vms(aVm()), hosts(...fleet));
  expect(before.size).toBe(8);
  const [gone = ''] = names(before);
  const after = spareImages(vms(aVm()), hosts(...fleet.filter(({ name }) => name !== gone)));
  expect(names(before).filter((name) => !after.has(name))).toEqual([gone]);
  expect(sparesThatDiffer(before, after)).toHaveLength(2);
  // Another image has other hosts.
  const image = aVm().image;
  const layers = (image?.layers ?? []).map((layer) => ({ ...layer, digest: `sha256:${'b'.repeat(64)}` }));
  const others = image ? spareImages(vms(aVm({ image: { ...image, layers } })), hosts(...fleet)) : before;
  expect(names(others)).not.toEqual(names(before));
});

test('only what they depend on touches them', () => {
  const change = (kind: 'vms' | 'hosts', before: unknown, after: unknown) =>
    touchSpares([{ kind, key: 'k', before, after }]);
  const [vm, host] = [aVm(), aHost()];
  expect(change('vms', vm, { ...vm, attempt: 9, state: 'unready' })).toBe(false);
  expect(change('vms', undefined, aVm({ readyAtMs: null }))).toBe(false);
  expect(change('vms', aVm({ readyAtMs: null }), vm)).toBe(true);
  expect(change('vms', vm, { ...vm, host: 'h2' })).toBe(true);
  expect(change('vms', vm, undefined)).toBe(true);
  expect(change('hosts', host, { ...host, downsAtMs: [1] })).toBe(false);
  expect(change('hosts', host, { ...host, state: 'suspect' })).toBe(false);
  expect(change('hosts', host, { ...host, state: 'down' })).toBe(true);
});
