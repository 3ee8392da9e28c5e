import { expect, test } from 'vitest';
import { CpuShare, cpuPercent, parseCpuTimes } from '../../../agent/observer/cpu-share.ts';

test('busy is all that processors do but wait: guests’ time once, time taken away by others as well', () => {
  const stat = 'cpu  100 20 30 800 50 1 2 7 90 10\ncpu0 1 2 3 4\n';
  expect(parseCpuTimes(stat)).toEqual({ busy: 160, all: 1_010 });
  expect(parseCpuTimes('intr 1 2 3 4 5')).toBeNull();
  expect(parseCpuTimes('')).toBeNull();
});

test('the share is that of the time between', () => {
  expect(cpuPercent({ busy: 100, all: 1_000 }, { busy: 150, all: 1_200 })).toBe(25);
  expect(cpuPercent({ busy: 100, all: 1_000 }, { busy: 100, all: 1_000 })).toBe(0);
  expect(cpuPercent({ busy: 100, all: 1_000 }, { busy: 90, all: 1_010 })).toBe(0);
});

test('this host has a share', async () => {
  const share = new CpuShare();
  const sinceStart = await share.look();
  expect(sinceStart).toBeGreaterThan(0);
  expect(sinceStart).toBeLessThanOrEqual(100);
});
