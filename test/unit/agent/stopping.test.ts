import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Executor } from '../../../agent/executor/executor.ts';
import { domainName } from '../../../agent/executor/names.ts';
import { FakeDriver } from '../../../agent/hypervisor/fake/fake-driver.ts';
import { executorOptions } from '../../support/builders/executor.ts';
import { aGoal, aMachineGoal, FLEET } from '../../support/builders/goal.ts';
import { FakeCache } from '../../support/fakes/host-fakes.ts';
import { waitFor } from '../../support/wait-for.ts';

const MACHINE = aMachineGoal();
const OFF = { ...MACHINE, power: 'stopped' as const };

let folder: string;
let driver: FakeDriver;
let cache: FakeCache;
let executor: Executor;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-stopping-'));
  driver = new FakeDriver(FLEET);
  cache = new FakeCache();
  executor = new Executor(executorOptions(folder, { driver, cache }));
});
afterEach(async () => {
  await executor.close();
  await rm(folder, { recursive: true, force: true });
});

/** What it says of the machine, and of which goal. */
const said = async () => {
  const { revisionSeen, vms } = executor.report();
  return `${vms[0]?.phase} under ${revisionSeen}`;
};
const untilSaid = (what: string) => waitFor(what, said, (now) => now === what, 10_000, 5);
const isRunning = () => driver.domains.get(domainName(FLEET, MACHINE.id))?.state === 'running';

test('a machine that is to be off is off when that is said', async () => {
  executor.setGoal(aGoal([MACHINE], { revision: 1 }));
  await untilSaid('ready under 1');
  executor.setGoal(aGoal([OFF], { revision: 2 }));
  await untilSaid('stopped under 2');
  expect(isRunning()).toBe(false);
});

test('an agent that knows nothing of the stop says it of a machine that it finds off', async () => {
  executor.setGoal(aGoal([OFF], { revision: 5 }));
  await untilSaid('stopped under 5');
  expect(driver.calls.filter(({ call }) => call === 'startDomain')).toEqual([]);
});

test('never while a start is on its way, however early the goal was seen', async () => {
  let open = () => {};
  cache.gate = new Promise((resolve) => {
    open = resolve;
  });
  executor.setGoal(aGoal([MACHINE], { revision: 1 }));
  await waitFor(
    'the start to be on its way',
    async () => cache.asked.length,
    (count) => count > 0,
    10_000,
    5,
  );
  executor.setGoal(aGoal([OFF], { revision: 2 }));
  await untilSaid('stopping under 2');
  open();
  await untilSaid('stopped under 2');
  expect(isRunning()).toBe(false);
});

test('and it is started again when it is to run again', async () => {
  executor.setGoal(aGoal([OFF], { revision: 1 }));
  await untilSaid('stopped under 1');
  executor.setGoal(aGoal([MACHINE], { revision: 2 }));
  await untilSaid('ready under 2');
  expect(isRunning()).toBe(true);
});
