import { pino } from 'pino';
import type { ExecutorOptions } from '../../../agent/executor/options.ts';
import { AgentPaths } from '../../../agent/executor/paths.ts';
import { FakeDriver } from '../../../agent/hypervisor/fake/fake-driver.ts';
import { systemClock } from '../../../agent/kit/clock.ts';
import { FakeCache, FakeDisks, FakeFolders, FakeGuest, fakeLink, fakeNetwork } from '../fakes/host-fakes.ts';
import { FLEET } from './goal.ts';

/** What an executor works with on a host of fakes, where nothing waits. @param folder of the agent's state. */
export const executorOptions = (
  folder: string,
  overrides: Partial<ExecutorOptions> = {},
): ExecutorOptions => ({
  fleet: FLEET,
  driver: new FakeDriver(FLEET),
  disks: new FakeDisks(),
  cache: new FakeCache(),
  guest: new FakeGuest(),
  link: fakeLink,
  network: fakeNetwork,
  seed: { composeSeed: () => new Map(), writeSeedIso: async () => undefined },
  paths: new AgentPaths(folder),
  folders: new FakeFolders(),
  clock: systemClock,
  log: pino({ level: 'silent' }),
  reapAfterMs: 0,
  unreadyLimitMs: 60_000,
  parallel: 4,
  boots: 16,
  onChange: () => undefined,
  ...overrides,
});
