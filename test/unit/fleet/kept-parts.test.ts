import { expect, test } from 'vitest';
import type { Report, VmReport } from '../../../agent/protocol/index.ts';
import { keepParts } from '../../../controller/fleet/kept-parts.ts';

const aVmReport = (id: string, phase: VmReport['phase'] = 'ready'): VmReport => ({
  ...{ id, incarnation: 1, phase, rebootGeneration: 0, steps: [], tasks: [], boots: 1 },
});
const aReport = (overrides: Partial<Report> = {}): Report => ({
  ...{ type: 'report', sequence: 1, atMs: 1, bootId: 'boot-1', revisionSeen: 1, blobs: [] },
  ...{ vms: [aVmReport('crm/web-0'), aVmReport('crm/web-1')], strangers: [], leaving: [] },
  ...overrides,
});

test('a report that tells what is known has the parts of the one before, and its own number and time', () => {
  const before = aReport();
  const kept = keepParts(before, aReport({ sequence: 2, atMs: 2 }));
  expect(kept).toMatchObject({ sequence: 2, atMs: 2 });
  expect(kept.vms).toBe(before.vms);
  expect(kept.leaving).toBe(before.leaving);
});

test('of one that tells something new, what is new is its own', () => {
  const before = aReport();
  const now = aReport({
    vms: [aVmReport('crm/web-0'), aVmReport('crm/web-1', 'unready')],
    leaving: ['crm/web-2'],
  });
  const kept = keepParts(before, now);
  expect(kept).toEqual(now);
  expect(kept.vms[0]).toBe(before.vms[0]);
  expect(kept.vms).not.toBe(before.vms);
});

test('a VM that is gone, or a doctor that says something for the first time, is news', () => {
  const before = aReport();
  const doctor = { atMs: 1, answered: [], count: 0, findings: [], fullPools: ['local'] };
  const kept = keepParts(before, aReport({ vms: [aVmReport('crm/web-0')], doctor }));
  expect(kept.vms.map(({ id }) => id)).toEqual(['crm/web-0']);
  expect(kept.doctor).toEqual(doctor);
});
