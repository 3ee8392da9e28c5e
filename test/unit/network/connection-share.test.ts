import { expect, test } from 'vitest';
import { crowding, paceOf } from '../../../agent/network/connection-share.ts';

test('the pace follows from the size of the table, unless the host says another', () => {
  expect(paceOf(262_144, undefined)).toEqual({ perSecond: 8_192, burst: 8_192 });
  expect(paceOf(65_536, undefined)).toEqual({ perSecond: 2_048, burst: 2_048 });
  expect(paceOf(null, undefined)).toEqual(paceOf(262_144, undefined));
  expect(paceOf(65_536, 40)).toEqual({ perSecond: 40, burst: 40 });
  expect(paceOf(65_536, 'off')).toBeNull();
});

test('nobody crowds a table that has room', () => {
  expect(crowding(new Map([['a', 749]]), { count: 749, max: 1_000 })).toEqual([]);
});

test('of a table that is nearly full those begin nothing that have most of it, and no more than it takes', () => {
  const fill = { count: 900, max: 1_000 };
  expect(
    crowding(
      new Map([
        ['a', 20],
        ['b', 700],
        ['c', 100],
      ]),
      fill,
    ),
  ).toEqual(['b']);
  expect(crowding(new Map(['a', 'b', 'c', 'd', 'e', 'f'].map((guest) => [guest, 150])), fill)).toEqual([
    'a',
    'b',
    'c',
    'd',
  ]);
});

test('where the host itself has filled its table, no guest is barred', () => {
  expect(crowding(new Map([['a', 10]]), { count: 1_000, max: 1_000 })).toEqual([]);
});
