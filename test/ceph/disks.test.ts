import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DiskKey, RbdPoolConfiguration } from '../../agent/disks/contract.ts';
import { goldenImage } from '../../agent/disks/rbd/names.ts';
import { RbdDisks } from '../../agent/disks/rbd/rbd-disks.ts';
import { exec } from '../../agent/kit/exec.ts';
import { STORAGE_FENCE } from '../../agent/protocol/index.ts';
import { CephBlocklist } from '../../controller/fencing/ceph-blocklist.ts';
import { FLEET } from '../support/builders/goal.ts';
import { waitFor } from '../support/wait-for.ts';
import { CephCluster } from './cluster.ts';

/** On an interface that is made for this: OSDs want one. The cluster's, by which its clients reach it from here as well. */
const BRIDGE = 'wceph0';
const ADDRESS = 'fd00:78::2';
const POOL = 'vms';
const MIB = 2 ** 20;

const ip = (...args: string[]) => exec('ip', args, { timeoutMs: 10_000 });
/** Also what a test that was killed has left. */
const removeBridge = () => exec('ip', ['link', 'delete', BRIDGE], { timeoutMs: 10_000, okExitCodes: [0, 1] });

describe('disks in a pool of Ceph’s, which is reached by IPv6,', () => {
  let folder: string;
  let cluster: CephCluster;
  let pool: RbdPoolConfiguration;
  let layers: readonly string[];
  beforeAll(async () => {
    folder = await mkdtemp('/var/tmp/weft-ceph-disks-');
    await removeBridge();
    await ip('link', 'add', BRIDGE, 'type', 'bridge');
    await ip('address', 'add', `${ADDRESS}/64`, 'dev', BRIDGE, 'nodad');
    await ip('link', 'set', BRIDGE, 'up');
    cluster = await CephCluster.start(folder, ADDRESS);
    await cluster.createPool(POOL);
    const onPools = [POOL, 'strange'].map((name) => `profile rbd pool=${name}`).join(', ');
    const profile = ['mon', 'profile rbd', 'osd', onPools, 'mgr', onPools];
    const keyring = await cluster.createUser('weft', ...profile);
    pool = { name: 'ceph', kind: 'rbd', pool: POOL, conf: cluster.clientConf, user: 'weft', keyring };
    const [base, top] = [join(folder, 'aa.qcow2'), join(folder, 'bb.qcow2')];
    await exec('qemu-img', ['create', '-q', '-f', 'qcow2', base, '64M']);
    await exec('qemu-io', ['-f', 'qcow2', '-c', 'write -P 0xab 1M 1M', base]);
    // Its header names nothing below it: only who asks knows.
    await exec('qemu-img', ['create', '-q', '-f', 'qcow2', top, '64M']);
    await exec('qemu-io', ['-f', 'qcow2', '-c', 'write -P 0xcd 2M 1M', top]);
    layers = [top, base];
    await disksOf('h1').initPool('ceph', FLEET);
  }, 180_000);
  afterAll(async () => {
    await cluster?.stop();
    await removeBridge();
    await rm(folder, { recursive: true, force: true });
  });

  const disksOf = (host: string, more: Partial<RbdPoolConfiguration> = {}, fenced: string[] | null = null) =>
    new RbdDisks({ pools: [{ ...pool, ...more }], host, scratch: folder, fenced });
  const prepared = async (...args: Parameters<typeof disksOf>) => {
    const disks = disksOf(...args);
    await disks.preparePools(FLEET);
    return disks;
  };
  /** The first look is not waited for for long. */
  const lookedAt = async (disks: RbdDisks) => {
    const look = async () => (await disks.pools())[0];
    return waitFor('the pool to be looked at', look, (view) => !view?.problem?.includes('not looked at yet'));
  };
  const viewOf = async (...args: Parameters<typeof disksOf>) => lookedAt(await prepared(...args));
  const access = () => ['--conf', pool.conf, '--id', pool.user, '--keyring', pool.keyring];
  const key = (vmId: string, incarnation: number): DiskKey => ({
    ...{ pool: 'ceph', vmId, kind: 'machine', incarnation },
  });
  const ensure = (disks: RbdDisks, vmId: string, incarnation: number, last: number, sizeMiB = 64) => {
    const [top = '', ...below] = layers;
    return disks.ensureOverlay(key(vmId, incarnation), top, sizeMiB * MIB, last, null, below);
  };
  /** Reads back what a machine's disk holds. */
  const holds = (image: string, pattern: string, at: string) =>
    exec('qemu-io', [
      ...['-r', '-f', 'raw', '-c', `read -P ${pattern} ${at} 1M`],
      `rbd:${POOL}/${image}:id=weft:conf=${pool.conf}:keyring=${pool.keyring}`,
    ]);

  test('are clones that hold what all layers hold together, grown to the machine’s size', async () => {
    const disks = await prepared('h1');
    expect(await ensure(disks, 'shop/one', 1, 0, 96)).toMatchObject({
      path: 'rbd:vms/machine.shop.one',
      created: true,
      rbd: { image: 'machine.shop.one' },
    });
    expect((await holds('machine.shop.one', '0xab', '1M')).stdout).not.toContain('failed');
    expect((await holds('machine.shop.one', '0xcd', '2M')).stdout).not.toContain('failed');
    const info = JSON.parse(await cluster.rbd('info', `${POOL}/machine.shop.one`, '--format', 'json'));
    expect(info.size).toBe(96 * MIB);
    expect(await ensure(disks, 'shop/one', 1, 1, 96)).toMatchObject({ created: false });
    await ensure(disks, 'shop/two', 1, 0);
    // Without it nothing could be removed from a pool that is full.
    await exec('rados', [...access(), '--pool', POOL, 'stat', 'rbd_trash']);
    const images = JSON.parse(await cluster.rbd('ls', POOL, '--format', 'json')) as string[];
    // One golden image for both, and nothing half made.
    expect(images.filter((name) => !name.startsWith('machine.'))).toEqual([
      expect.stringMatching(/^image\./),
    ]);
  });

  test('are another host’s once it has them at a higher incarnation, and refused to an older one', async () => {
    const [one, other] = [await prepared('h1'), await prepared('h2')];
    await ensure(one, 'shop/moves', 1, 0);
    expect(await one.list()).toMatchObject([
      { vmId: 'shop/moves' },
      { vmId: 'shop/one' },
      { vmId: 'shop/two' },
    ]);
    expect(await other.list()).toEqual([]);
    expect(await other.list(new Set(['shop/moves', 'shop/none']))).toMatchObject([{ vmId: 'shop/moves' }]);
    await ensure(other, 'shop/moves', 2, 1);
    await expect(ensure(one, 'shop/moves', 1, 1)).rejects.toThrow(/in use at incarnation 2 by h2/);
    expect((await other.list()).map(({ vmId }) => vmId)).toEqual(['shop/moves']);
    // A new agent there has heard nothing of it.
    expect((await (await prepared('h1')).list()).map(({ vmId }) => vmId)).not.toContain('shop/moves');
  });

  test('are never begun anew when they are missing, nor taken for another image’s', async () => {
    const disks = await prepared('h1');
    await expect(ensure(disks, 'shop/lost', 3, 2)).rejects.toThrow(/is not in pool ceph/);
    const wrong = disks.ensureOverlay(key('shop/one', 2), layers[1] ?? '', 64 * MIB, 1, null, []);
    await expect(wrong).rejects.toThrow(/is a clone of image\..*, not of image\./);
  });

  test('are whole where they come from a backup, once', async () => {
    const disks = await prepared('h1');
    let written = 0;
    const source = {
      request: 'r1',
      write: async (file: string) => {
        written++;
        await exec('qemu-img', ['create', '-q', '-f', 'qcow2', file, '32M']);
        await exec('qemu-io', ['-f', 'qcow2', '-c', 'write -P 0xef 1M 1M', file]);
      },
    };
    const restore = () =>
      disks.ensureOverlay(key('shop/two', 2), layers[0] ?? '', 64 * MIB, 1, source, layers.slice(1));
    expect(await restore()).toMatchObject({ created: true });
    expect(await restore()).toMatchObject({ created: false });
    expect(written).toBe(1);
    expect((await holds('machine.shop.two', '0xef', '1M')).stdout).not.toContain('failed');
  });

  test('go when they are destroyed, and may be destroyed again', async () => {
    const disks = await prepared('h1');
    await disks.destroyMachineDisk('ceph', 'shop/two');
    await disks.destroyMachineDisk('ceph', 'shop/two');
    expect((await disks.list(new Set(['shop/two']))).map(({ vmId }) => vmId)).not.toContain('shop/two');
  });

  test('are in a pool that says what it takes, and why it cannot be used', async () => {
    const problemOf = async (...args: Parameters<typeof disksOf>) => (await viewOf(...args))?.problem;
    const view = await viewOf('h1', {}, [ADDRESS]);
    expect(view).toMatchObject({ kind: 'rbd', problem: null, id: expect.any(String) });
    expect(view?.cluster).toBe((await cluster.ceph('fsid')).trim());
    expect(view?.freeMiB).toBeGreaterThan(1_000);
    expect(await problemOf('h1', {}, ['10.0.0.11'])).toMatch(
      /Ceph sees this host as fd00:78::2, and its storage fence would shut out 10\.0\.0\.11/,
    );
    await cluster.createPool('strange');
    expect(await problemOf('h1', { pool: 'strange' })).toMatch(/no mark of a fleet.*--init-pool ceph/);
    expect(await problemOf('h1', { pool: 'none' })).toMatch(/opening pool/);
    const open = join(folder, 'open.keyring');
    await writeFile(open, '');
    await chmod(open, 0o644);
    expect(await problemOf('h1', { keyring: open })).toMatch(/can be read or written by others/);
    const foreign = disksOf('h1');
    await foreign.preparePools('ffffffff-0000-4000-8000-000000000000');
    expect((await lookedAt(foreign))?.problem).toMatch(/belongs to another fleet/);
  });

  test('are shut off from a host by the addresses that its storage fence names', async () => {
    const secrets = join(folder, 'secrets');
    const caps = ['mon', 'allow r, allow command "osd blocklist"'];
    const keyring = await cluster.createUser('weft-fence', ...caps);
    await mkdir(secrets);
    const lines = ['', `conf=${pool.conf}`, 'user=weft-fence', `keyring=${keyring}`, ''];
    await writeFile(join(secrets, 'ceph'), lines.join('\n'), { mode: 0o600 });
    const fence = new CephBlocklist(secrets);
    const device = {
      ...{ agent: STORAGE_FENCE, secret: 'ceph' },
      options: { addresses: 'fd00:78:0:0::99, 10.78.0.99' },
    };
    const { signal } = new AbortController();
    await fence.shutOut(device, signal);
    expect(await cluster.blocklist()).toEqual(
      expect.arrayContaining(['[fd00:78::99]:0/0', '10.78.0.99:0/0']),
    );
    expect(await fence.status(device, signal)).toMatchObject({ power: 'off' });
    expect(await fence.letIn(device, signal)).toBe(true);
    expect(await fence.status(device, signal)).toMatchObject({ power: 'on' });
  });

  describe('leave golden images behind that nothing needs:', () => {
    const DISK = 'machine.shop.left';
    const list = async () => JSON.parse(await cluster.rbd('ls', POOL, '--format', 'json')) as string[];
    const golden = goldenImage(['aa.qcow2']);
    const trash = async () =>
      (JSON.parse(await cluster.rbd('trash', 'ls', POOL, '--format', 'json')) as { id: string }[]).map(
        ({ id }) => id,
      );
    /** On one layer: another image than that of the machines above. */
    const make = (disks: RbdDisks, last = 0) =>
      disks.ensureOverlay(key('shop/left', 1), layers[1] ?? '', 64 * MIB, last, null, []);

    test('they go into the trash, and one is imported anew when it is needed again', async () => {
      const disks = await prepared('h1');
      await make(disks);
      expect(await disks.leftovers()).toEqual([]);
      await disks.destroyMachineDisk('ceph', 'shop/left');
      const [leftover] = await (await prepared('h2')).leftovers();
      expect(leftover).toMatchObject({ pool: 'ceph', kind: 'golden', image: golden });
      if (!leftover) return;
      await make(disks);
      // It was not used when it was looked at, and is by now.
      expect(await disks.removeLeftover(leftover)).toBe(false);
      await disks.destroyMachineDisk('ceph', 'shop/left');
      expect(await disks.removeLeftover(leftover)).toBe(true);
      expect(await disks.removeLeftover(leftover)).toBe(true);
      expect(await list()).not.toContain(golden);
      expect(await trash()).toEqual([leftover.id]);
      // Its time there is not over.
      expect(await disks.leftovers()).toEqual([]);
      await make(disks);
      expect((await holds(DISK, '0xab', '1M')).stdout).not.toContain('failed');
      expect(await list()).toContain(golden);
      await disks.destroyMachineDisk('ceph', 'shop/left');
    });

    test.each(['1', '2'])(
      'what was cloned, in format %s, when it went there stays as long as its clone',
      async (format) => {
        const disks = await prepared('h1');
        await make(disks);
        if (format === '2') {
          await cluster.rbd('rm', `${POOL}/${DISK}`, '--no-progress');
          const clone = [`${POOL}/${golden}@golden`, `${POOL}/${DISK}`, '--rbd-default-clone-format', '2'];
          await cluster.rbd('clone', ...clone);
        }
        await cluster.rbd('trash', 'mv', `${POOL}/${golden}`);
        const [leftover] = await disks.leftovers();
        expect(leftover).toMatchObject({ kind: 'trashed', image: golden });
        if (!leftover) return;
        expect(await disks.removeLeftover(leftover)).toBe(false);
        expect(await disks.leftovers()).toEqual([]);
        expect((await holds(DISK, '0xab', '1M')).stdout).not.toContain('failed');
        expect(await make(await prepared('h1'), 1)).toMatchObject({ created: false });
        await disks.destroyMachineDisk('ceph', 'shop/left');
        // Another host finds it, whatever this one had begun.
        const other = await prepared('h2');
        expect(await other.leftovers()).toEqual([leftover]);
        expect(await other.removeLeftover(leftover)).toBe(true);
        expect(await other.removeLeftover(leftover)).toBe(true);
        expect(await trash()).not.toContain(leftover.id);
      },
    );
  });

  test('are deleted, and nothing else, in a pool that takes no writes, which is told', async () => {
    const disks = await prepared('h1');
    await ensure(disks, 'shop/full', 1, 0);
    await cluster.ceph('osd', 'pool', 'set-quota', POOL, 'max_bytes', '1');
    const isFull = async () => (await viewOf('h1'))?.isFull;
    await waitFor('the pool to be full', isFull, (full) => full === true, 120_000, 500);
    const full = await prepared('h1');
    expect(await lookedAt(full)).toMatchObject({ problem: null, freeMiB: 0, isFull: true });
    await expect(ensure(full, 'shop/more', 1, 0)).rejects.toThrow(/pool ceph is full/);
    await full.destroyMachineDisk('ceph', 'shop/full');
    expect(await cluster.rbd('ls', POOL)).not.toContain('machine.shop.full');
    expect(await viewOf('h1', {}, [ADDRESS])).toMatchObject({
      problem: expect.stringContaining('it is full, so that it cannot be found out'),
    });
    await cluster.ceph('osd', 'pool', 'set-quota', POOL, 'max_bytes', '0');
    await waitFor('the pool to have room', isFull, (still) => still === false, 120_000, 500);
  });
});
