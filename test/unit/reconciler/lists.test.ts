import { expect, test } from 'vitest';
import type { HostRecord } from '../../../controller/model/index.ts';
import { Draft } from '../../../controller/reconciler/draft.ts';
import { ListedMap } from '../../../controller/reconciler/listed-map.ts';
import type { World } from '../../../controller/reconciler/world.ts';
import { aHost } from '../../support/builders/host.ts';

const hosts = () => {
  const map = new ListedMap<HostRecord>();
  for (const name of ['h1', 'h2', 'h3']) map.set(name, aHost(name));
  return map;
};
const draftOf = (map: ReadonlyMap<string, HostRecord>) => new Draft({ hosts: map } as unknown as World, 1);
const names = (records: readonly HostRecord[]) => records.map(({ name }) => name).join(' ');

test('a list stays the very same until something changes, and keeps the order of the map', () => {
  const map = hosts();
  const before = map.list();
  expect(map.list()).toBe(before);
  map.set('h2', aHost('h2', {}, { draining: true }));
  expect(map.list()).not.toBe(before);
  expect(names(map.list())).toBe('h1 h2 h3');
  map.delete('h1');
  expect(names(map.list())).toBe('h2 h3');
  expect(names(before)).toBe('h1 h2 h3');
});

test('what follows from all records is worked out once, over passes too, and anew after a change', () => {
  const map = hosts();
  let asked = 0;
  const count = (records: readonly HostRecord[]) => {
    asked++;
    return records.filter(({ draining }) => draining).length;
  };
  expect([draftOf(map).of('hosts', count), draftOf(map).of('hosts', count), asked]).toEqual([0, 0, 1]);
  const draft = draftOf(map);
  draft.put('hosts', 'h2', aHost('h2', {}, { draining: true }));
  expect([draft.of('hosts', count), draft.of('hosts', count), asked]).toEqual([1, 1, 2]);
  expect(draftOf(map).of('hosts', count)).toBe(0);
  map.set('h3', aHost('h3', {}, { draining: true }));
  expect([draftOf(map).of('hosts', count), asked]).toEqual([1, 3]);
});

test('all records of a draft are those of the moment, with what was put and without what was deleted', () => {
  const draft = draftOf(hosts());
  const before = draft.all('hosts');
  draft.put('hosts', 'h4', aHost('h4'));
  draft.delete('hosts', 'h1');
  expect(names(draft.all('hosts'))).toBe('h2 h3 h4');
  expect(names(before)).toBe('h1 h2 h3');
});
