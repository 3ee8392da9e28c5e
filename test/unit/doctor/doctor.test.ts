import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PoolView } from '../../../agent/disks/contract.ts';
import { FileBlobCache } from '../../../agent/disks/file-blob-cache.ts';
import { LocalDisks } from '../../../agent/disks/local-disks.ts';
import { writeOwner } from '../../../agent/disks/owner.ts';
import { PoolWatch } from '../../../agent/disks/pool-watch.ts';
import type { CephLeftover } from '../../../agent/disks/rbd/leftovers.ts';
import { Doctor, type DoctorOptions, type DoctorSettings } from '../../../agent/doctor/doctor.ts';
import { FakeDriver } from '../../../agent/hypervisor/fake/fake-driver.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import { doctorReport, type Goal } from '../../../agent/protocol/index.ts';
import { aGoal, aMachineGoal, aVmGoal, FLEET } from '../../support/builders/goal.ts';
import { FakeLinks, fakeNetwork } from '../../support/fakes/host-fakes.ts';

const GRACE_MS = 60_000;
const SETTINGS: DoctorSettings = {
  everyMs: 10_000,
  graceMs: GRACE_MS,
  cacheGraceMs: 10 * GRACE_MS,
  lowSpaceMiB: 0,
  fullSpaceMiB: 0,
};
const REQUEST = '11111111-2222-4333-8444-555555555555';

let folder: string;
let pool: string;
let blobs: string;
let run: string;
let clock: VirtualClock;
let driver: FakeDriver;
let links: FakeLinks;
let goal: Goal | null;
let looks: number;
let disks: LocalDisks;
let watch: PoolWatch;
let doctor: Doctor;

const aWatch = (disksOf: Pick<LocalDisks, 'pools'> = disks) =>
  new PoolWatch({
    ...{ disks: disksOf, clock, everyMs: 5_000, blobFolder: blobs, log: pino({ level: 'silent' }) },
    pools: [{ name: 'local', kind: 'local', path: pool }],
  });

function aDoctor(
  settings: Partial<DoctorSettings> = {},
  watchOf: PoolWatch = aWatch(),
  ceph?: DoctorOptions['ceph'],
): Doctor {
  const log = pino({ level: 'silent' });
  const pools = [{ name: 'local', kind: 'local' as const, path: pool }];
  const source = { openBlob: () => Promise.reject(new Error('nothing is fetched here')) };
  return new Doctor({
    ...{ fleet: FLEET, host: 'h1', pools, driver, clock, log, links },
    disks,
    watch: watchOf,
    ...(ceph ? { ceph } : {}),
    cache: new FileBlobCache({ folder: blobs, source, clock, log }),
    network: {
      ...fakeNetwork,
      remove: async (fleet) => {
        links.tableNames.delete(`weft_${fleet.slice(0, 4)}`);
      },
    },
    paths: { blobs, run },
    goal: () => goal,
    busy: () => new Set(),
    settings: { ...SETTINGS, ...settings },
    onLooked: () => {
      looks++;
    },
    onChange: () => undefined,
  });
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-doctor-'));
  pool = join(folder, 'pool');
  blobs = join(folder, 'state/blobs/sha256');
  run = join(folder, 'state/run');
  disks = new LocalDisks([{ name: 'local', kind: 'local', path: pool }], 'h1');
  await disks.preparePools(FLEET);
  await Promise.all([mkdir(blobs, { recursive: true }), mkdir(run, { recursive: true })]);
  clock = new VirtualClock(Date.now() + 3_600_000);
  driver = new FakeDriver(FLEET);
  links = new FakeLinks();
  goal = aGoal([]);
  looks = 0;
  watch = aWatch();
  doctor = aDoctor({}, watch);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function plant(path: string, text = ''): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return path;
}
const plantFolder = (path: string) => mkdir(path, { recursive: true }).then(() => path);

/** Makes a blob of these bytes. @returns its digest and file. */
async function plantBlob(text: string): Promise<{ digest: string; path: string }> {
  const hex = createHash('sha256').update(text).digest('hex');
  return { digest: `sha256:${hex}`, path: await plant(join(blobs, `${hex}.qcow2`), text) };
}

async function aLayer(): Promise<{ digest: string; path: string; sizeBytes: number }> {
  const raw = join(folder, 'layer.qcow2');
  await exec('qemu-img', ['create', '-q', '-f', 'qcow2', raw, '1M']);
  const { digestOf } = await import('../../../agent/disks/blob-files.ts');
  const digest = await digestOf(raw);
  const path = join(blobs, `${digest.slice(7)}.qcow2`);
  await exec('mv', [raw, path]);
  return { digest, path, sizeBytes: (await stat(path)).size };
}

async function aDisk(path: string, backing: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await exec('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', backing, path, '1M']);
  return path;
}

async function everything(): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.map((entry) => relative(folder, join(entry.parentPath, entry.name))).sort();
}

const OURS = () => [
  join(pool, 'roles/old/web-0/3.qcow2.0a1b2c3d.tmp'),
  join(pool, 'machines/old/db/disk.qcow2.0a1b2c3d.tmp'),
];
const FOREIGN = () => [
  join(pool, 'notes.txt'),
  join(pool, 'roles/README'),
  join(pool, 'roles/Backup/data'),
  join(pool, 'roles/old/web-0/mine.tmp'),
  join(pool, 'roles/old/web-0/3.qcow2.tmp'),
  join(pool, 'roles/old/web-0/disk.qcow2.0a1b2c3d.tmp'),
  join(pool, 'lost/4.qcow2.0a1b2c3d.tmp'),
  join(blobs, 'theirs.qcow2'),
  join(blobs, `${'a'.repeat(64)}.iso`),
  join(run, 'crm/web-0/seed-mine.iso'),
];

describe('left-overs', () => {
  test('go after the grace time, exactly ours, and what lies beside them stays', async () => {
    goal = aGoal([aVmGoal({ incarnation: 5 })]);
    for (const path of FOREIGN()) await plant(path, 'theirs');
    const before = await everything();
    for (const path of OURS()) await plant(path);
    await plant(join(run, 'crm/web-0/seed-4.iso'));
    await plantFolder(join(pool, 'roles/older/web-7'));
    await plantFolder(join(run, 'older'));
    await doctor.lookNow();
    const kinds = doctor.report()?.findings.map(({ kind }) => kind) ?? [];
    expect([...kinds].sort()).toEqual([
      ...['empty-folder', 'empty-folder', 'half-made-disk', 'half-made-disk', 'stale-seed'],
    ]);
    await clock.advance(GRACE_MS - 1);
    await doctor.lookNow();
    expect(await stat(String(OURS()[0]))).toBeTruthy();

    // One level of folders is empty only once the one below it has gone.
    for (let round = 0; round < 4; round++) {
      await clock.advance(GRACE_MS);
      await doctor.lookNow();
    }
    expect(await everything()).toEqual(before);
    expect(doctor.report()).toMatchObject({ count: 0, findings: [] });
    // The executor is told each time: what is in its own charge makes no noise either.
    expect(looks).toBe(6);
  });

  test('go at once when an operator asks, and the answer says whose question it was', async () => {
    const [path = ''] = OURS();
    await plant(path);
    await doctor.lookNow({ requestId: REQUEST, repair: false, digests: false });
    expect(doctor.report()).toMatchObject({ answered: [REQUEST], count: 1 });
    await doctor.lookNow({ requestId: REQUEST, repair: true, digests: false });
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('that were just written are somebody at work', async () => {
    const [path = ''] = OURS();
    await plant(path);
    await utimes(path, clock.now() / 1000, clock.now() / 1000);
    await doctor.lookNow({ requestId: REQUEST, repair: true, digests: false });
    expect(await stat(path)).toBeTruthy();
  });

  test('in a pool that carries another fleet’s mark are that fleet’s', async () => {
    for (const path of OURS()) await plant(path);
    await writeFile(
      join(pool, '.weft-pool.json'),
      JSON.stringify({ fleet: 'f00d0000-0000-4000-8000-000000000001' }),
    );
    const before = await everything();
    await doctor.lookNow({ requestId: REQUEST, repair: true, digests: false });
    expect(await everything()).toEqual(before);
    expect(doctor.report()).toMatchObject({ count: 0 });
  });
});

describe('the image cache', () => {
  test('keeps what a machine lies on that no goal names, and gives the rest up after its own grace time', async () => {
    const layer = await aLayer();
    const disk = await aDisk(join(pool, 'machines/old/db/disk.qcow2'), layer.path);
    const needed = await plantBlob('in the goal');
    const unneeded = await plantBlob('needed by nobody');
    const partial = await plant(join(blobs, `${'b'.repeat(64)}.partial`), 'half');
    goal = aGoal([], { prefetch: [{ digest: needed.digest, sizeBytes: 11, kind: 'layer' }] });
    await doctor.lookNow();
    await clock.advance(10 * GRACE_MS - 1);
    await doctor.lookNow();
    expect(await stat(unneeded.path)).toBeTruthy();
    await clock.advance(1);
    await doctor.lookNow();
    const left = (await readdir(blobs)).map((file) => join(blobs, file)).sort();
    expect(left).toEqual([layer.path, needed.path].sort());
    await expect(stat(partial)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await stat(disk)).toBeTruthy();
  });

  test('gives up at once what nothing needs where space has run out, and nothing else', async () => {
    const unneeded = await plantBlob('needed by nobody');
    const needed = await plantBlob('in the goal');
    goal = aGoal([], { prefetch: [{ digest: needed.digest, sizeBytes: 11, kind: 'layer' }] });
    const full = aDoctor({ fullSpaceMiB: 1e9 }, watch);
    await watch.look();
    await full.lookNow();
    await expect(stat(unneeded.path)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await stat(needed.path)).toBeTruthy();
    expect(full.report()).toMatchObject({ fullPools: ['local'], findings: [{ kind: 'low-space' }] });
  });

  test('without a goal keeps everything', async () => {
    const blob = await plantBlob('perhaps needed');
    goal = null;
    await aDoctor({ fullSpaceMiB: 1e9 }).lookNow({ requestId: REQUEST, repair: true, digests: false });
    expect(await stat(blob.path)).toBeTruthy();
  });
});

describe('images in Ceph', () => {
  const leftover = (kind: CephLeftover['kind']): CephLeftover => ({
    ...{ pool: 'ceph', kind, id: '10af' },
    image: `image.${'a'.repeat(64)}`,
  });
  /** A host whose pool in Ceph has something left over. */
  function aCeph(found: CephLeftover[], view: Partial<PoolView> = {}) {
    const removed: string[] = [];
    const ceph = {
      leftovers: async () => found,
      removeLeftover: async ({ kind }: CephLeftover) => {
        removed.push(kind);
        found.length = 0;
        return true;
      },
    };
    const pool: PoolView = {
      ...{ name: 'ceph', kind: 'rbd', id: REQUEST, freeMiB: 50_000, totalMiB: 100_000, problem: null },
      ...view,
    };
    const watchOf = aWatch({ pools: async () => [pool] });
    return { doctor: aDoctor({}, watchOf, ceph), watchOf, removed };
  }

  test('have the grace time of the image cache, and in the trash none', async () => {
    const { doctor, removed } = aCeph([leftover('golden')]);
    await doctor.lookNow();
    await clock.advance(10 * GRACE_MS - 1);
    await doctor.lookNow();
    expect(doctor.report()?.findings).toMatchObject([{ kind: 'unneeded-image', severity: 'note' }]);
    expect(removed).toEqual([]);
    await clock.advance(1);
    await doctor.lookNow();
    expect(removed).toEqual(['golden']);
    const trashed = aCeph([leftover('trashed')]);
    await trashed.doctor.lookNow();
    expect(trashed.removed).toEqual(['trashed']);
  });

  test('go at once where their pool takes no writes, and its being full is told', async () => {
    const { doctor, watchOf, removed } = aCeph([leftover('golden')], { isFull: true });
    await watchOf.look();
    await doctor.lookNow();
    expect(removed).toEqual(['golden']);
    expect(doctor.report()).toMatchObject({ fullPools: ['ceph'], findings: [{ subject: 'rbd:ceph' }] });
  });

  test('that are half made have the grace time of halves', async () => {
    const { doctor, removed } = aCeph([leftover('half-made')]);
    await doctor.lookNow();
    await clock.advance(GRACE_MS);
    await doctor.lookNow();
    expect(removed).toEqual(['half-made']);
  });
});

describe('a broken chain', () => {
  test('is an error, and stays as it is however it is asked', async () => {
    const layer = await aLayer();
    const disk = await aDisk(join(pool, 'machines/old/db/disk.qcow2'), layer.path);
    await rm(layer.path);
    const before = await everything();
    await doctor.lookNow();
    await clock.advance(100 * GRACE_MS);
    await doctor.lookNow({ requestId: REQUEST, repair: true, digests: true });
    expect(doctor.report()?.findings[0]).toMatchObject({
      kind: 'broken-chain',
      severity: 'error',
      subject: disk,
    });
    expect(doctor.report()?.findings[0]?.repair).toBeUndefined();
    expect(await everything()).toEqual(before);
  });

  test('a layer whose bytes have changed is found when its digest is asked for', async () => {
    const layer = await aLayer();
    await aDisk(join(pool, 'machines/old/db/disk.qcow2'), layer.path);
    await exec('sh', ['-c', 'printf x | dd of="$0" bs=1 seek=200 conv=notrunc status=none', layer.path]);
    await doctor.lookNow();
    expect(doctor.report()?.findings.map(({ kind }) => kind)).toEqual(['stranger']);
    await doctor.lookNow({ requestId: REQUEST, repair: true, digests: true });
    expect(doctor.report()?.findings[0]).toMatchObject({
      kind: 'wrong-blob',
      severity: 'error',
      subject: layer.path,
    });
    expect((await stat(layer.path)).size).toBe(layer.sizeBytes);
  });
});

test('a folder of a machine in which only its owner is written goes, and its disk is never taken for broken because of it', async () => {
  const owner = join(pool, 'machines/old/db/owner.json');
  await writeOwner(owner, { host: 'h1', incarnation: 1 });
  const restored = join(pool, 'machines/crm/files/disk.qcow2');
  await mkdir(dirname(restored), { recursive: true });
  await exec('qemu-img', ['create', '-q', '-f', 'qcow2', restored, '1M']);
  await writeOwner(join(dirname(restored), 'owner.json'), {
    host: 'h1',
    incarnation: 1,
    restored: 'request-1',
  });
  goal = aGoal([aMachineGoal({ id: 'crm/files' })]);
  const kinds = () => doctor.report()?.findings.map(({ kind }) => kind);
  await doctor.lookNow();
  expect(kinds()).toEqual(['lone-owner']);
  await clock.advance(GRACE_MS);
  await doctor.lookNow();
  // Now it is an empty folder.
  expect(kinds()).toEqual(['empty-folder']);
  await clock.advance(GRACE_MS);
  await doctor.lookNow();
  await clock.advance(GRACE_MS);
  await doctor.lookNow();
  expect(kinds()).toEqual([]);
  await expect(stat(join(pool, 'machines/old'))).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await stat(restored)).toBeTruthy();
});

test('a bridge and a table of ours that nothing uses go, and all others stay', async () => {
  const bridge = (name: string, ports: string[] = []) => links.all.set(name, { name, ports });
  for (const name of ['wb5eed-7', 'wbf00d-7', 'br0', 'wb5eed-7b']) bridge(name);
  bridge('wb5eed-8', ['tap1']);
  bridge('wb5eed-9');
  driver.networks.set('theirs', {
    ...{
      name: 'theirs',
      mark: null,
      bridge: 'wb5eed-9',
      gateway: '10.9.9.1',
      prefix: 24,
      leases: [],
      active: true,
    },
  });
  for (const table of ['weft_5eed', 'weft_f00d', 'nat']) links.tableNames.add(table);
  await doctor.lookNow({ requestId: REQUEST, repair: true, digests: false });
  expect([...links.all.keys()]).toEqual(['wbf00d-7', 'br0', 'wb5eed-7b', 'wb5eed-8', 'wb5eed-9']);
  expect([...links.tableNames]).toEqual(['weft_f00d', 'nat']);
  expect(doctor.report()?.findings).toMatchObject([{ kind: 'lone-bridge', subject: 'wb5eed-8' }]);
});

test('a guest that stands still for want of room runs on when there is room again, and is asked less and less', async () => {
  const name = 'weft-5eed-crm-web-0-abcdef';
  const mark = {
    fleet: FLEET,
    id: 'crm/web-0',
    incarnation: 1,
    kind: 'instance' as const,
    rebootGeneration: 0,
  };
  const spec = {
    ...{ name, mark, uuid: '11111111-2222-8333-8444-555555555555', architecture: 'x86_64' as const },
    size: { cpus: 1, memoryMiB: 128, cpuQuotaPercent: null },
    chain: [{ path: join(pool, 'roles/crm/web-0/1.qcow2'), format: 'qcow2' as const }],
    ...{ diskModel: 'virtio' as const, seedIso: null, diskCache: 'unsafe' as const, consoleLog: '/log' },
    boot: { method: 'disk' as const, firmware: 'bios' as const },
    nic: { model: 'virtio' as const, mac: '52:54:00:00:00:01', network: 'n' },
  };
  await driver.ensureNetwork({
    name: 'n',
    mark: { fleet: FLEET, id: 'crm/web' },
    bridge: 'b',
    gateway: '10.1.1.1',
    prefix: 24,
    leases: [],
  });
  await driver.startDomain(spec);
  driver.addForeign('theirs');
  driver.pauseGuest('theirs');
  driver.pauseGuest(name);
  const asked = () => driver.calls.filter(({ call }) => call === 'unpauseDomain').map((call) => call.name);

  const ofFull = aWatch();
  aDoctor({ fullSpaceMiB: 1e9 }, ofFull);
  await ofFull.look();
  expect(asked()).toEqual([]);
  await watch.look();
  expect(asked()).toEqual([name]);
  expect(driver.domains.get(name)?.state).toBe('running');
  driver.pauseGuest(name);
  await watch.look();
  expect(asked()).toHaveLength(1);
  await clock.advance(300_000);
  await watch.look();
  expect(asked()).toHaveLength(2);
  // Stopped by a person: that is a person's to undo.
  driver.pauseGuest(name, 'user');
  await clock.advance(600_000);
  await watch.look();
  expect(asked()).toHaveLength(2);
  expect(driver.domains.get('theirs')?.state).toBe('paused');
});

test('hears of space from the watch over the pools, between its own looks', async () => {
  let changes = 0;
  const log = pino({ level: 'silent' });
  const [view] = await disks.pools();
  let freeMiB = 900;
  const small = aWatch({ pools: async () => [{ ...view, freeMiB, totalMiB: 1_000 } as PoolView] });
  const guarded = new Doctor({
    ...{ fleet: FLEET, host: 'h1', driver, clock, log, links, disks, watch: small, network: fakeNetwork },
    pools: [{ name: 'local', kind: 'local', path: pool }],
    cache: { prune: async () => [] },
    paths: { blobs, run },
    goal: () => goal,
    busy: () => new Set(),
    settings: { ...SETTINGS, fullSpaceMiB: 100 },
    onLooked: () => undefined,
    onChange: () => {
      changes++;
    },
  });
  await small.look();
  await guarded.lookNow();
  const told = changes;
  await small.look();
  expect([changes - told, guarded.report()?.fullPools]).toEqual([0, []]);
  freeMiB = 50;
  await small.look();
  expect(changes).toBeGreaterThan(told);
  expect(guarded.report()?.fullPools).toEqual(['local']);
});

test('libvirt being away is told, and repairs nothing', async () => {
  const [path = ''] = OURS();
  await plant(path);
  driver.failNext('listDomains');
  await doctor.lookNow({ requestId: REQUEST, repair: true, digests: false });
  expect(doctor.report()).toMatchObject({
    answered: [REQUEST],
    problem: expect.stringContaining('listDomains'),
  });
  expect(await stat(path)).toBeTruthy();
});

test('a host in great disorder still has a report that fits the protocol, the worst first', async () => {
  const layer = await aLayer();
  for (let number = 0; number < 120; number++) {
    const name = `db-${'x'.repeat(40)}-${number}`;
    await plant(join(pool, `machines/${'y'.repeat(40)}/${name}/disk.qcow2`), 'no qcow2');
  }
  await aDisk(join(pool, 'machines/old/db/disk.qcow2'), layer.path);
  await rm(layer.path);
  await doctor.lookNow();
  const report = doctorReport.parse(doctor.report());
  expect([report.count, report.findings.length]).toEqual([242, 100]);
  expect(new Set(report.findings.map(({ severity }) => severity))).toEqual(new Set(['error']));
});
