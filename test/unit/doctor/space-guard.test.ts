import { expect, test } from 'vitest';
import type { Space } from '../../../agent/disks/pool-watch.ts';
import { fullPools, resumable } from '../../../agent/doctor/space-guard.ts';
import type { DomainView } from '../../../agent/hypervisor/driver.ts';
import { aDoctorWorld, LIMITS, POOL } from '../../support/builders/doctor-world.ts';

const aSpace = (freeMiB: number, path = POOL): Space => ({
  ...{ name: 'local', path, freeMiB, totalMiB: 10_000, hasCache: false },
});
const stopped = (overrides: Partial<DomainView> = {}): DomainView => ({
  ...(aDoctorWorld().domains[0] as DomainView),
  ...{ state: 'paused', reason: 'io-error' },
  ...overrides,
});

test('a guest of ours that stopped for want of room runs on once its pool has room', () => {
  expect(resumable([stopped()], [aSpace(5_000)], LIMITS)).toEqual([stopped().name]);
  expect(resumable([stopped()], [aSpace(100)], LIMITS)).toEqual([]);
});

test.each([
  ['of somebody else', { mark: null }],
  ['that a person stopped', { reason: 'user' }],
  ['that runs', { state: 'running' as const }],
  ['whose disk is in no pool of ours', { overlay: '/poolside/1.qcow2' }],
])('a guest %s is left as it is', (_what, overrides) => {
  expect(resumable([stopped(overrides)], [aSpace(5_000)], LIMITS)).toEqual([]);
});

test('the cache’s own file system is no pool', () => {
  expect(fullPools([aSpace(1), { ...aSpace(1), name: null }], LIMITS)).toEqual(['local']);
});
