import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Executor } from '../../../agent/executor/executor.ts';
import { domainName } from '../../../agent/executor/names.ts';
import { FakeDriver } from '../../../agent/hypervisor/fake/fake-driver.ts';
import { executorOptions } from '../../support/builders/executor.ts';
import { aGoal, aMachineGoal, FLEET } from '../../support/builders/goal.ts';
import { FakeDisks } from '../../support/fakes/host-fakes.ts';
import { waitFor } from '../../support/wait-for.ts';

const VM = aMachineGoal({ incarnation: 2, pool: 'ceph' });
const NAME = domainName(FLEET, VM.id);

let folder = '';
const executors: Executor[] = [];
afterEach(async () => {
  await Promise.all(executors.map((executor) => executor.close()));
  await rm(folder, { recursive: true, force: true });
});

test('a guest that came to a disk which other hosts have too runs on when it is written whose that is, and is marked as any other then', async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-settle-'));
  const done: string[] = [];
  const driver = new (class extends FakeDriver {
    override async unpauseDomain(name: string): Promise<void> {
      done.push('run on');
      // An agent that dies here leaves it to the next one.
      if (done.filter((each) => each === 'run on').length === 1) throw new Error('libvirtd is away');
      await super.unpauseDomain(name);
    }
  })(FLEET);
  const disks = new (class extends FakeDisks {
    override kindOf() {
      return 'rbd' as const;
    }
    override async takeOver(key: Parameters<FakeDisks['takeOver']>[0]): Promise<string> {
      done.push('take over');
      return super.takeOver(key);
    }
  })();
  const executor = new Executor(executorOptions(folder, { driver, disks }));
  executors.push(executor);
  executor.setGoal(aGoal([VM]));
  const view = async () => (await driver.listDomains())[0];
  await waitFor('a domain of it', view, (found) => found?.state === 'running');
  const mark = (await view())?.mark;
  if (!mark) throw new Error('it has a mark');
  done.length = 0;
  driver.pauseGuest(NAME, 'user');
  await driver.markDomain(NAME, { ...mark, standsStill: true });
  executor.setGoal(aGoal([VM], { revision: 2 }));
  await waitFor('it to run on', view, (found) => found?.state === 'running' && !found.mark?.standsStill);
  expect(done.slice(0, 4)).toEqual(['take over', 'run on', 'take over', 'run on']);
});
