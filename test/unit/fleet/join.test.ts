import { expect, test } from 'vitest';
import { joined } from '../../../controller/fleet/join.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { aHost } from '../../support/builders/host.ts';

const GUARD = { leaseMs: 20_000 } as unknown as NonNullable<HostRecord['guard']>;

test('of a host that joins again everything stays known but what its first session says anew', () => {
  const known = aHost(
    'h1',
    {},
    {
      superseded: { 'crm/db': 3 },
      fullPools: ['local'],
      rebootOf: 'boot-1',
      rolled: { id: 'a roll', hosts: ['h1'] },
      sharedPools: { san: { id: 'pool', beats: ['beat'], sinceMs: 1, seen: { h2: true } } },
      apartPools: { san: { from: ['h3'], isOdd: true } },
      guard: GUARD,
    },
  );
  const certificateFingerprint = 'e'.repeat(64);
  expect(joined(known, 'h1', certificateFingerprint, 7)).toEqual({
    ...known,
    ...{ guard: null, joinedAtMs: 7, certificateFingerprint },
  });
});

test('one that was never there is joining, and in service', () => {
  expect(joined(undefined, 'h1', 'e'.repeat(64), 7)).toMatchObject({
    ...{ name: 'h1', state: 'joining', mode: 'in-service', draining: false, proof: null, superseded: {} },
    ...{ facts: null, offer: null, bootId: null, guard: null, joinedAtMs: 7, stateSinceMs: 7 },
  });
});
