import { expect, test } from 'vitest';
import { LASTS_MS, lastingOf, seenOf } from '../../../agent/network/lasting-underlay.ts';
import type { Underlay } from '../../../agent/network/underlay.ts';

const GUEST_NETWORK = '192.168.122.0/24';
const at = (address: string): Underlay => ({
  offer: {
    ...{ address, mtu: 1_500, networks: ['192.0.2.0/24'] },
    ...{ own: [address, '192.168.122.1'], closed: [GUEST_NETWORK] },
  },
  guarded: ['192.0.2.0/24', GUEST_NETWORK],
  never: [address, '192.168.122.1', GUEST_NETWORK],
});
/** Its cable is out. */
const away: Underlay = { offer: null, guarded: [GUEST_NETWORK], never: ['192.168.122.1', GUEST_NETWORK] };
const nothing: Underlay = { offer: null, guarded: [], never: [] };

/** What counts after each of these looks, at the times given. */
function after(...looks: readonly (readonly [atMs: number, found: Underlay])[]): Underlay {
  let [seen, underlay] = [seenOf(nothing, 0), nothing];
  for (const [atMs, found] of looks) ({ seen, underlay } = lastingOf(seen, found, atMs));
  return underlay;
}

test('what is there is what counts', () => {
  const found = after([1_000, at('192.0.2.7')]);
  expect(found.offer).toEqual(at('192.0.2.7').offer);
  expect([...found.never].sort()).toEqual([...at('192.0.2.7').never].sort());
});

test('an address that is gone counts for a while, with all that was beside it, and then no more', () => {
  const before = after([0, at('192.0.2.7')]);
  const meanwhile = after([0, at('192.0.2.7')], [10_000, away], [LASTS_MS - 1, away]);
  expect(meanwhile.offer).toEqual(before.offer);
  expect([...meanwhile.never].sort()).toEqual([...before.never].sort());
  expect([...meanwhile.guarded].sort()).toEqual([...before.guarded].sort());
  const later = after([0, at('192.0.2.7')], [10_000, away], [LASTS_MS, away]);
  expect(later).toEqual(away);
});

test('the time runs from when it was seen last', () => {
  const underlay = after([0, at('192.0.2.7')], [LASTS_MS - 1, at('192.0.2.7')], [2 * LASTS_MS - 2, away]);
  expect(underlay.offer?.address).toBe('192.0.2.7');
});

test('another address counts at once, and nobody reaches the old one for a while', () => {
  const underlay = after([0, at('192.0.2.7')], [10_000, at('192.0.2.8')]);
  expect(underlay.offer?.address).toBe('192.0.2.8');
  expect(underlay.offer?.own).toEqual(['192.0.2.7', '192.0.2.8', '192.168.122.1']);
  expect(underlay.never).toContain('192.0.2.7');
});

test('of very many that are gone the latest are kept, and what is there always is', () => {
  const many = (from: number): Underlay => {
    const own = Array.from({ length: 1_000 }, (_, index) => `10.${from}.${index >> 8}.${index & 0xff}`);
    return { ...at('192.0.2.7'), never: ['192.0.2.7', ...own] };
  };
  const { offer, never } = after([0, many(1)], [1_000, many(2)], [2_000, at('192.0.2.7')]);
  expect(offer?.own?.length).toBe(1_024);
  expect(offer?.own).toEqual(expect.arrayContaining(['192.0.2.7', '192.168.122.1', '10.2.0.0']));
  expect(never.length).toBeLessThanOrEqual(at('192.0.2.7').never.length + 1_024);
});
