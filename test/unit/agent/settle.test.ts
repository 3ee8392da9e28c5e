import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { DiskCopies } from '../../../agent/disks/disk-copies.ts';
import { LocalDisks } from '../../../agent/disks/local-disks.ts';
import { Executor } from '../../../agent/executor/executor.ts';
import { Landings } from '../../../agent/executor/landings.ts';
import { domainName } from '../../../agent/executor/names.ts';
import { FakeDriver } from '../../../agent/hypervisor/fake/fake-driver.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { executorOptions } from '../../support/builders/executor.ts';
import { aGoal, aMachineGoal, FLEET } from '../../support/builders/goal.ts';
import { waitFor } from '../../support/wait-for.ts';

const VM = aMachineGoal({ incarnation: 2 });
const NAME = domainName(FLEET, VM.id);
const KEY = { pool: 'local', vmId: VM.id, kind: 'machine', incarnation: 2 } as const;

let folder = '';
const executors: Executor[] = [];
afterEach(async () => {
  await Promise.all(executors.map((executor) => executor.close()));
  await rm(folder, { recursive: true, force: true });
});

test('a guest that came with its disk runs on when that is written to be this host’s, also after a try that failed', async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-settle-'));
  const disks = new LocalDisks([{ name: 'local', kind: 'local', path: join(folder, 'pool') }], 'h2');
  const copies = new DiskCopies(disks, 'h2');
  await disks.preparePools(FLEET);
  const base = join(folder, 'base.qcow2');
  await exec('qemu-img', ['create', '-q', '-f', 'qcow2', base, '1G']);
  const stateOf = async () => (await disks.list())[0]?.copy?.state ?? 'own';

  /** What is written beside the disk each time that the guest is to run on; the first time it cannot. */
  const written: string[] = [];
  const driver = new (class extends FakeDriver {
    override async unpauseDomain(name: string): Promise<void> {
      written.push(await stateOf());
      if (written.length === 1) throw new Error('libvirtd is away');
      await super.unpauseDomain(name);
    }
  })(FLEET);
  const before = new Executor(executorOptions(folder, { driver }));
  executors.push(before);
  before.setGoal(aGoal([VM]));
  await waitFor(
    'a domain of it',
    () => driver.listDomains(),
    (domains) => domains.some(({ state }) => state === 'running'),
  );
  await before.close();
  driver.pauseGuest(NAME, 'user');
  await copies.begin(KEY, base, { virtualSizeBytes: 2 ** 30, dataBytes: 1, restored: null });
  const landings = new Landings();
  landings.note({ id: 'crm/db', incarnation: 2 }, { downtimeMs: 20, totalMs: 300 }, Date.now());

  const executor = new Executor(executorOptions(folder, { driver, disks, copies, landings }));
  executors.push(executor);
  // It comes here, and is not this host's yet.
  executor.setGoal(aGoal([], { incoming: [{ vm: VM, from: 'h1' }] }));
  await waitFor(
    'a look',
    async () => executor.report().revisionSeen,
    (revision) => revision > 0,
  );
  expect(await stateOf()).toBe('half');
  executor.setGoal(aGoal([VM]));
  await waitFor('it to be a disk like any other', stateOf, (state) => state === 'own');
  expect(written).toEqual(['whole', 'whole']);
  const [domain] = await driver.listDomains();
  expect(domain).toMatchObject({ state: 'running', reason: 'unpaused' });
  const arrival = executor.report().vms[0]?.arrival;
  expect(arrival?.downtimeMs).toBeGreaterThanOrEqual(20);
  expect(arrival?.totalMs).toBeGreaterThanOrEqual(300);
});
