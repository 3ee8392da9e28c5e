import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FrozenGuests } from '../../../agent/backups/frozen-guests.ts';
import { BackupKeeper } from '../../../agent/backups/keeper.ts';
import { BackupTargets } from '../../../agent/backups/targets.ts';
import { domainName } from '../../../agent/executor/names.ts';
import type { Clock } from '../../../agent/kit/clock.ts';
import { systemClock } from '../../../agent/kit/clock.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import type { BackupTask, MadeBackup, RestoreGoal } from '../../../agent/protocol/index.ts';
import { aGoal, aMachineGoal, FLEET } from '../../support/builders/goal.ts';
import { FakeBackupDriver } from '../../support/fakes/fake-backup-driver.ts';
import { refusal } from '../../support/refusal.ts';
import { waitFor } from '../../support/wait-for.ts';

const ID = '20260102t030405';
const VM = aMachineGoal();
const WHICH = { vmId: VM.id, id: ID, target: 'vault' };
const MAKE: BackupTask = { task: 'make', ...WHICH };
const DOMAIN = domainName(FLEET, VM.id);
/** Waits are short: what is waited for is a fake. */
const clock: Clock = { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(1, signal) };

let folder: string;
let driver: FakeBackupDriver;
let targets: BackupTargets;
let keepers: BackupKeeper[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-backups-'));
  driver = new FakeBackupDriver();
  driver.domains = [
    {
      name: DOMAIN,
      mark: { fleet: FLEET, id: VM.id, incarnation: 1, kind: 'machine', rebootGeneration: 0 },
      state: 'running',
      reason: 'booted',
      overlay: null,
      files: [],
    },
  ];
  const vault = { name: 'vault', kind: 'local', path: join(folder, 'vault') } as const;
  targets = new BackupTargets([vault], [{ name: 'local', kind: 'local', path: join(folder, 'pool') }], FLEET);
  await targets.prepare();
  keepers = [];
});
afterEach(async () => {
  for (const keeper of keepers) keeper.close();
  await rm(folder, { recursive: true, force: true });
});

const frozenNote = () => join(folder, 'run', 'frozen');

function aKeeper(): BackupKeeper {
  const log = createLogger('test', 'silent');
  const guests = new FrozenGuests({ driver, note: frozenNote, clock, log });
  const options = {
    fleet: FLEET,
    host: 'h1',
    driver,
    targets,
    guests,
    clock,
    log,
    onChange: () => undefined,
  };
  const keeper = new BackupKeeper(options);
  keepers.push(keeper);
  return keeper;
}

const follow = (keeper: BackupKeeper, ...backups: BackupTask[]) => keeper.follow(aGoal([VM], { backups }));
const ended = async (keeper: BackupKeeper) => {
  const [report] = await waitFor(
    'the task to end',
    async () => keeper.report(),
    (reports) => reports.length === 1 && reports[0]?.state !== 'running',
    10_000,
    5,
  );
  if (!report) throw new Error('nothing is reported');
  return report;
};
const place = () => join(folder, 'vault', VM.id);
const entries = () => readdir(place()).catch(() => []);

async function made(): Promise<MadeBackup> {
  const keeper = aKeeper();
  follow(keeper, MAKE);
  const report = await ended(keeper);
  if (!report.made) throw new Error(`it was not made: ${JSON.stringify(report)}`);
  return report.made;
}

describe('a backup', () => {
  test('is there as a whole, with a manifest that describes it', async () => {
    const backup = await made();
    expect(await entries()).toEqual([ID]);
    const disk = join(place(), ID, 'disk.qcow2');
    expect(backup).toMatchObject({ sizeBytes: (await stat(disk)).size, virtualSizeBytes: 8 * 2 ** 20 });
    expect(backup).toMatchObject({ consistency: 'crash-consistent', note: 'the guest has no agent' });
    const manifest = JSON.parse(await readFile(join(place(), ID, 'manifest.json'), 'utf8'));
    expect(manifest).toMatchObject({
      format: 'weft-backup/1',
      machine: VM.id,
      disk: { digest: backup.digest },
    });
    expect(driver.said).toEqual([`freeze ${DOMAIN}`, `begin ${DOMAIN}`]);
    await expect(stat(frozenNote())).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('of a guest that was frozen says so', async () => {
    driver.hasAgent = driver.freezes = true;
    const { consistency, note } = await made();
    expect([consistency, note]).toEqual(['frozen', undefined]);
    expect(driver.said).toEqual([`freeze ${DOMAIN}`, `begin ${DOMAIN}`, `thaw ${DOMAIN}`]);
  });

  test('of a guest whose agent does not answer is made without; it is thawed all the same, for it may freeze later', async () => {
    driver.hasAgent = true;
    const { consistency, note } = await made();
    expect([consistency, note]).toEqual(['crash-consistent', 'its agent did not answer in time']);
    expect(driver.said.at(-1)).toBe(`thaw ${DOMAIN}`);
  });

  test('that cannot be begun leaves the guest thawed', async () => {
    driver.hasAgent = driver.freezes = true;
    driver.refusal = new WeftError('not-supported', 'no');
    const keeper = aKeeper();
    follow(keeper, MAKE);
    expect((await ended(keeper)).state).toBe('failed');
    expect(driver.said).toEqual([`freeze ${DOMAIN}`, `thaw ${DOMAIN}`]);
  });

  test('is not made again by an agent that does not remember it', async () => {
    const first = await made();
    driver.said.length = 0;
    expect(await made()).toEqual(first);
    expect(driver.said).toEqual([]);
  });

  test('that fails is tried again; what was half made is gone', async () => {
    driver.failures.push('No space left on device');
    await made();
    expect(driver.said.filter((line) => line.startsWith('begin'))).toHaveLength(2);
    expect(await entries()).toEqual([ID]);
  });

  test('that fails each time is told with its reason, and nothing is left', async () => {
    driver.failures.push(...['a', 'b', 'No space left on device']);
    const keeper = aKeeper();
    follow(keeper, MAKE);
    const { state, failure } = await ended(keeper);
    expect([state, failure?.message]).toEqual([
      'failed',
      expect.stringContaining('could not be copied: No space left on device'),
    ]);
    expect(await entries()).toEqual([]);
  });

  test('of a machine that does not run is refused', async () => {
    driver.domains = [];
    const keeper = aKeeper();
    follow(keeper, MAKE);
    expect((await ended(keeper)).failure?.message).toContain('does not run');
  });

  test('that is wanted no more is ended, and its half goes', async () => {
    driver.holds = true;
    const keeper = aKeeper();
    follow(keeper, MAKE);
    await waitFor(
      'it to be begun',
      async () => driver.running,
      (file) => file !== null,
      10_000,
      5,
    );
    expect(keeper.report()).toMatchObject([{ state: 'running' }]);
    follow(keeper);
    expect(keeper.report()).toEqual([]);
    await waitFor('its half to be gone', entries, (left) => left.length === 0, 10_000, 5);
    expect(driver.said).toContain(`abort ${DOMAIN}`);
  });

  test('goes nowhere where nothing is mounted', async () => {
    await rm(join(folder, 'vault'), { recursive: true });
    await mkdir(join(folder, 'vault'));
    const keeper = aKeeper();
    follow(keeper, MAKE);
    expect((await ended(keeper)).failure?.code).toBe('not-found');
    expect(await readdir(join(folder, 'vault'))).toEqual([]);
  });
});

test('what an agent before this one left is cleared away before anything is begun', async () => {
  const half = join(place(), `${ID}.h1.0a1b2c3d.tmp`);
  const others = join(place(), `${ID}.h2.0a1b2c3d.tmp`);
  await mkdir(half, { recursive: true });
  await mkdir(others);
  await mkdir(dirname(frozenNote()));
  await writeFile(frozenNote(), '');
  driver.running = join(half, 'disk.qcow2');
  await made();
  expect(driver.said.slice(0, 2)).toEqual([`thaw ${DOMAIN}`, `abort ${DOMAIN}`]);
  // Another host may be making the same in a folder that both have.
  expect((await entries()).sort()).toEqual([ID, `${ID}.h2.0a1b2c3d.tmp`]);
  await expect(stat(frozenNote())).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a guest that an agent before this one froze is thawed without a word of the controller', async () => {
  await mkdir(dirname(frozenNote()));
  await writeFile(frozenNote(), '');
  aKeeper().start();
  await waitFor(
    'it to be thawed',
    () => stat(frozenNote()).catch(() => null),
    (note) => note === null,
    10_000,
    5,
  );
  expect(driver.said).toEqual([`thaw ${DOMAIN}`]);
});

describe('a backup that is read', () => {
  let backup: MadeBackup;
  let disk: string;
  beforeEach(async () => {
    backup = await made();
    disk = join(place(), ID, 'disk.qcow2');
  });
  const wanted = (): RestoreGoal => ({
    request: 'r1',
    since: 1,
    ...WHICH,
    digest: backup.digest,
    sizeBytes: backup.sizeBytes,
  });
  const verdict = async () => {
    const keeper = aKeeper();
    follow(keeper, { task: 'verify', ...wanted() });
    return ended(keeper);
  };
  /** Neither the verification nor the copy takes it. */
  const isRefused = async (reason: string) => {
    const { state, failure } = await verdict();
    expect([state, failure?.code, failure?.message]).toEqual([
      'failed',
      'invalid-image',
      expect.stringContaining(reason),
    ]);
    const file = join(folder, 'restored.qcow2');
    const error = await refusal(aKeeper().readBackup(wanted(), file, new AbortController().signal));
    expect(error.message).toContain(reason);
  };

  test('is copied bit by bit when it is good', async () => {
    expect(await verdict()).toMatchObject({ state: 'done', request: 'r1' });
    const file = join(folder, 'restored.qcow2');
    await aKeeper().readBackup(wanted(), file, new AbortController().signal);
    expect((await readFile(file)).equals(await readFile(disk))).toBe(true);
  });

  test('is refused when it is truncated', async () => {
    await truncate(disk, backup.sizeBytes - 1);
    await isRefused(`truncated: ${backup.sizeBytes - 1} of ${backup.sizeBytes} bytes`);
  });

  test('is refused when a byte has changed', async () => {
    const file = await open(disk, 'r+');
    await file.write(Buffer.from([1]), 0, 1, backup.sizeBytes - 10);
    await file.close();
    await isRefused('its content has changed');
  });

  test('is refused when its header names another file', async () => {
    await exec('qemu-img', ['create', '-q', '-f', 'qcow2', disk, '8M']);
    await exec('qemu-img', ['rebase', '-u', '-F', 'raw', '-b', '/etc/shadow', disk]);
    await truncate(disk, backup.sizeBytes);
    const { failure } = await verdict();
    expect(failure?.message).toContain('has a backing file');
  });

  test('is refused when its manifest is another one, or is none', async () => {
    const manifest = join(place(), ID, 'manifest.json');
    const text = await readFile(manifest, 'utf8');
    await writeFile(manifest, text.replace(FLEET, '00000000-0000-4000-8000-000000000000'));
    await isRefused('belongs to another fleet');
    await writeFile(manifest, text.replace('"crm/db"', '"crm/other"'));
    await isRefused('is that of backup');
    await writeFile(manifest, text.slice(0, 40));
    await isRefused('its manifest cannot be read');
  });

  test('is gone when it was removed, and may be removed twice', async () => {
    for (let times = 0; times < 2; times++) {
      const keeper = aKeeper();
      follow(keeper, { task: 'remove', ...WHICH });
      expect((await ended(keeper)).state).toBe('done');
      expect(await entries()).toEqual([]);
    }
  });
});
