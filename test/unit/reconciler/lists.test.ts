import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { HostRecord } from '../../../controller/model/index.ts';
import { Draft } from '../../../controller/reconciler/draft.ts';
import { LastMade } from '../../../controller/reconciler/last-made.ts';
import { ListedMap, viewOf } from '../../../controller/reconciler/listed-map.ts';
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

const modePart = ({ name, draining }: HostRecord) => ({ name, draining });

test('a view stays the very same while what it shows does, whatever else of the records changes', () => {
  const map = hosts();
  const before = map.view(modePart);
  map.set('h2', aHost('h2', {}, { evidence: 'heard again' }));
  expect(map.view(modePart)).toBe(before);
  map.set('h2', aHost('h2', {}, { draining: true }));
  const after = map.view(modePart);
  expect(after.map(({ draining }) => draining)).toEqual([false, true, false]);
  expect([after[0] === before[0], after[1] === before[1], after[2] === before[2]]).toEqual([
    true,
    false,
    true,
  ]);
  expect(before.map(({ draining }) => draining)).toEqual([false, false, false]);
});

const anyStep = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('set' as const), fc.nat(4), fc.nat(2)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('delete' as const), fc.nat(4), fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('clear' as const), fc.constant(0), fc.constant(0)) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('look' as const), fc.constant(0), fc.constant(0)) },
);

test('a view shows what a new one would, in the same order, whenever it is looked at', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 40 }), (steps) => {
      const map = new ListedMap<{ readonly shown: number; readonly other: number }>();
      const part = ({ shown }: { readonly shown: number }) => ({ shown });
      let count = 0;
      for (const [step, key, shown] of steps) {
        if (step === 'set') map.set(`k${key}`, { shown, other: count++ });
        if (step === 'delete') map.delete(`k${key}`);
        if (step === 'clear') map.clear();
        if (step === 'look') expect(viewOf(map, part)).toEqual(viewOf(new Map(map), part));
      }
      expect(viewOf(map, part)).toEqual(viewOf(new Map(map), part));
      expect(map.list()).toEqual([...map.values()]);
    }),
  );
});

test('what was made last is made anew when anything is another one than it was made from', () => {
  const last = new LastMade<object, number>();
  const [owner, other, part] = [{}, {}, {}];
  let made = 0;
  const ask = (of: object, ...madeFrom: unknown[]) => last.of(of, madeFrom, () => ++made);
  expect([ask(owner, part, 1), ask(owner, part, 1), ask(other, part, 1)]).toEqual([1, 1, 2]);
  expect([ask(owner, {}, 1), ask(owner, part, 1), ask(owner, part, 2), ask(owner, part)]).toEqual([
    3, 4, 5, 6,
  ]);
  expect(ask(other, part, 1)).toBe(2);
});
