import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../agent/kit/clock.ts';
import { exec } from '../../../agent/kit/exec.ts';
import type { ImportRequest, JobView } from '../../../controller/catalogue/contract.ts';
import { StoreCatalogue } from '../../../controller/catalogue/store-catalogue.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { FileBlobStore } from '../../../images/blob-store.ts';
import type { Recipe } from '../../../images/recipes/contract.ts';

describe('the catalogue', () => {
  let folder: string;
  let store: MemoryStore;
  let blobs: FileBlobStore;
  let catalogue: StoreCatalogue;
  let builds = 0;
  let imageKeys: string[] = [];

  /** Builds an empty disk in a moment, and a kernel of a few bytes. */
  const recipe: Recipe = {
    name: 'probe',
    description: 'for tests',
    series: '12',
    traits: {
      architecture: 'x86_64',
      commandLine: 'console=ttyS0',
      disk: 'virtio',
      nic: 'virtio',
      seed: 'nocloud',
      sshUser: 'root',
      webServer: 'none',
    },
    inputs: async () => ['one'],
    build: async ({ workFolder, onLine }) => {
      builds++;
      onLine('building');
      await exec('qemu-img', ['create', '-q', '-f', 'qcow2', join(workFolder, 'disk.qcow2'), '64M']);
      await writeFile(join(workFolder, 'kernel'), 'kernel');
      await writeFile(join(workFolder, 'initrd'), 'initrd');
      return { disk: 'disk.qcow2', kernel: 'kernel', initrd: 'initrd' };
    },
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-catalogue-'));
    store = new MemoryStore();
    blobs = new FileBlobStore(join(folder, 'blobs'));
    builds = 0;
    imageKeys = [];
    catalogue = new StoreCatalogue({
      store,
      blobs,
      secrets: {
        putImageKey: async (key) => {
          imageKeys.push(key);
          return 'image.key';
        },
      },
      clock: systemClock,
      workFolder: join(folder, 'work'),
      recipeCache: join(folder, 'recipes'),
      recipes: [recipe],
    });
  });
  afterEach(async () => {
    await catalogue.close();
    await rm(folder, { recursive: true, force: true });
  });

  const ended = (id: string) =>
    new Promise<JobView>((resolve) => catalogue.jobs.follow(id, () => {}, resolve));
  const upload = async (bytes: Buffer) => (await blobs.put(Readable.from([bytes]))).digest;
  const rawDisk = () => {
    const disk = Buffer.alloc(1024 * 1024);
    disk.set([0x55, 0xaa], 510);
    return disk;
  };
  const anImport = async (change: Partial<ImportRequest> = {}): Promise<ImportRequest> => ({
    name: 'crm',
    version: '1',
    disk: change.disk ?? (await upload(rawDisk())),
    seed: 'nocloud',
    ...change,
  });
  const imported = async (change: Partial<ImportRequest> = {}) =>
    ended(catalogue.import(await anImport(change)));
  const anApplication = (image: string, digest: string | null = null) => ({
    name: 'shop',
    service: {
      name: 'shop',
      package: digest === null ? null : { digest, sizeBytes: 1 },
      roles: { web: { image, package: null } },
      machines: {},
    },
  });

  it('collects uploads that nothing has referred to for a day, across restarts, and nothing else', async () => {
    await ended(catalogue.build({ recipe: 'probe' }));
    const ofImage = (await blobs.list()).map(({ digest }) => digest);
    const [applied, replaced, refused] = await Promise.all(
      ['applied', 'replaced', 'refused'].map((name) => upload(Buffer.from(name))),
    );
    const apply = (digest = '') =>
      store.transact({ puts: [{ key: 'apps/shop', value: anApplication('probe:stable', digest) }] });
    const left = async () => new Set((await blobs.list()).map(({ digest }) => digest));
    await apply(replaced);
    expect(await catalogue.collectUploads()).toEqual([]);

    // A day goes by.
    const old = (Date.now() - 86_400_001) / 1000;
    const age = async () => {
      for (const { digest } of await blobs.list()) await utimes(blobs.path(digest), old, old);
    };
    await age();
    // Referred to until now, and from now on not: it has its day.
    expect(await catalogue.collectUploads()).toEqual([applied, refused].sort());
    await blobs.put(Readable.from([Buffer.from('applied')]));
    await apply(applied);
    expect(await catalogue.collectUploads()).toEqual([]);
    expect(await left()).toEqual(new Set([...ofImage, applied, replaced]));
    await age();
    expect(await catalogue.collectUploads()).toEqual([replaced]);
    expect(await left()).toEqual(new Set([...ofImage, applied]));
  });

  it('keeps an old upload that comes in again, or is about to be applied, while it collects', async () => {
    const old = (Date.now() - 86_400_001) / 1000;
    const [again, wanted] = [await upload(Buffer.from('again')), await upload(Buffer.from('wanted'))];
    for (const digest of [again, wanted]) await utimes(blobs.path(digest), old, old);
    const [, touched, gone] = await Promise.all([
      upload(Buffer.from('again')),
      blobs.touch(wanted, Date.now()),
      catalogue.collectUploads(),
    ]);
    expect(touched).not.toBe(null);
    expect(gone).not.toContain(wanted);
    expect(await blobs.stat(again)).not.toBe(null);
    expect(await blobs.stat(wanted)).not.toBe(null);
  });

  it('builds a recipe, and points stable and its series at it', async () => {
    const job = await ended(catalogue.build({ recipe: 'probe' }));
    expect(job).toMatchObject({
      state: 'done',
      result: { name: 'probe' },
      lines: ['building', /./, /./].map(() => expect.any(String)),
    });
    const image = await catalogue.resolve('probe:stable');
    expect(image.version).toMatch(/^12-[0-9a-f]{8}$/);
    expect(await catalogue.resolve('probe:12')).toEqual(image);
    expect(image).toMatchObject({ virtualSizeBytes: 64 * 1024 ** 2, goal: { boot: { method: 'kernel' } } });
    expect(await blobs.list()).toHaveLength(3);
    expect((await catalogue.list())[0]?.channels).toEqual(['12', 'stable']);
  });

  it('runs one build for many who ask for the same, and takes the next from the cache', async () => {
    const ids = [1, 2, 3].map(() => catalogue.build({ recipe: 'probe' }));
    expect(new Set(ids).size).toBe(1);
    await ended(ids[0] ?? '');
    const again = await ended(catalogue.build({ recipe: 'probe', channel: 'edge' }));
    expect(again).toMatchObject({ state: 'done', error: null });
    expect(builds).toBe(1);
    expect((await catalogue.list())[0]?.channels).toEqual(['12', 'edge', 'stable']);
  });

  it('refuses an unknown recipe at once', () => {
    expect(() => catalogue.build({ recipe: 'windows' })).toThrow(
      expect.objectContaining({ code: 'not-found', remedy: expect.stringContaining('probe') }),
    );
  });

  it('imports a raw disk as qcow2 and forgets the upload', async () => {
    const job = await imported({ channel: 'stable', devices: 'sata' });
    expect(job).toMatchObject({ state: 'done', result: { name: 'crm', version: '1' } });
    const image = await catalogue.resolve('crm:stable');
    expect(image).toMatchObject({
      sourceFormat: 'raw',
      virtualSizeBytes: 1024 * 1024,
      goal: { disk: 'sata', nic: 'e1000e', boot: { method: 'disk', firmware: 'bios' } },
    });
    expect((await blobs.list()).map(({ digest }) => digest)).toEqual([image.goal.layers[0]?.digest]);
    expect(await readdir(join(folder, 'work'))).toEqual([]);
  });

  it('keeps the publisher’s key apart from the record', async () => {
    await imported({ seed: 'none', sshPrivateKey: 'PRIVATE' });
    expect(imageKeys).toEqual(['PRIVATE']);
    expect((await catalogue.resolve('crm:1')).sshKeySecret).toBe('image.key');
    expect(JSON.stringify(await store.list(''))).not.toContain('PRIVATE');
  });

  it('says why it refuses an image, and keeps nothing of it', async () => {
    const job = await imported({ disk: await upload(Buffer.from('not a disk at all')) });
    expect(job).toMatchObject({
      state: 'failed',
      error: {
        code: 'invalid-image',
        message: expect.stringContaining('text file'),
        remedy: expect.any(String),
      },
    });
    expect(await catalogue.list()).toEqual([]);
    expect(await blobs.list()).toEqual([]);
  });

  it('refuses a package as an image without taking it from the application that runs it', async () => {
    const digest = await upload(Buffer.from('a package, not a disk'));
    await store.transact({ puts: [{ key: 'apps/shop', value: anApplication('crm:1', digest) }] });
    expect(await imported({ disk: digest })).toMatchObject({ error: { code: 'invalid-image' } });
    expect(await blobs.stat(digest)).not.toBeNull();
    await store.transact({ deletes: ['apps/shop'] });
  });

  it('never changes a version', async () => {
    await imported();
    const other = rawDisk();
    other[0] = 1;
    const job = await imported({ disk: await upload(other) });
    expect(job.error).toMatchObject({ code: 'conflict' });
    expect(await blobs.list()).toHaveLength(1);
  });

  it.each([
    [{ name: '../x' }],
    [{ version: 'a/b' }],
    [{ channel: '' }],
    [{ disk: 'sha256:0' }],
    [{ seed: 'none' as const }],
    [{ commandLine: 'quiet' }],
    [{ sshUser: 'root; reboot' }],
  ])('refuses the request %j at once', async (change) => {
    const request = { ...(await anImport()), ...change };
    expect(() => catalogue.import(request)).toThrow(expect.objectContaining({ code: 'bad-request' }));
    // What was uploaded for it goes as well, unless the request does not even say what that was.
    if (request.disk.length > 64) await expect.poll(() => blobs.list()).toEqual([]);
  });

  it('fails an import of what was never uploaded', async () => {
    const job = await imported({ disk: `sha256:${'0'.repeat(64)}` });
    expect(job.error).toMatchObject({ code: 'not-found' });
  });

  it('refuses to remove what an application uses, by whatever name', async () => {
    await imported({ channel: 'stable' });
    const digest = (await catalogue.resolve('crm:1')).goal.layers[0]?.digest;
    for (const reference of ['crm:1', 'crm:stable', `crm@${digest}`]) {
      await store.transact({ puts: [{ key: 'apps/shop', value: anApplication(reference) }] });
      await expect(catalogue.remove('crm', '1')).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('shop'),
      });
    }
    await store.transact({ deletes: ['apps/shop'] });
    const vm = { id: 'shop/web-0', image: { name: 'crm', version: '1' } };
    await store.transact({ puts: [{ key: 'vms/shop/web-0', value: vm }] });
    await expect(catalogue.remove('crm', '1')).rejects.toMatchObject({ code: 'conflict' });
  });

  it('removes a version, its channels, and the blobs that no other image has', async () => {
    await imported({ channel: 'stable' });
    await imported({ version: '2' });
    await catalogue.remove('crm', '1');
    await expect(catalogue.resolve('crm:stable')).rejects.toMatchObject({ code: 'not-found' });
    expect(await blobs.list()).toHaveLength(1);
    await catalogue.remove('crm', '2');
    expect(await blobs.list()).toEqual([]);
    expect((await store.list('image')).entries).toEqual([]);
    await expect(catalogue.remove('crm', '2')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('finishes a removal that a crash interrupted', async () => {
    const digest = await upload(Buffer.from('left behind'));
    await store.transact({ puts: [{ key: 'image-garbage/crm/1', value: { digests: [digest] } }] });
    await catalogue.recover();
    expect(await blobs.list()).toEqual([]);
    expect((await store.list('image-garbage/')).entries).toEqual([]);
  });
});
