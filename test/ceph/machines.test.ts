import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { TINY } from '../support/golden-lab.ts';
import { isReady, rowOf, runningQemus, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { waitFor } from '../support/wait-for.ts';
import type { PsRow } from '../support/weft.ts';
import { Writer } from '../support/writer.ts';
import { CEPH_POOL, type CephLab, cephLab, POOL } from './ceph-lab.ts';
import { describeLiveMoves } from './live-moves.ts';

const MODEL = `
apiVersion: weft/v1
kind: Application
name: shop
machines:
  db: {image: "tiny:stable", size: ${TINY}, pool: ${POOL}}
`;
const DB = 'shop/db';
const IMAGE = 'machine.shop.db';

interface Event {
  readonly sequence: number;
  readonly kind: string;
  readonly subject: string;
  readonly message: string;
}
interface Host {
  readonly name: string;
  readonly state: string;
  readonly proof: { readonly kind: string } | null;
}

describe('a machine on a pool in Ceph', () => {
  let ceph: CephLab;
  let writer: Writer | null = null;
  beforeAll(async () => {
    ceph = await cephLab('ceph', 2);
    const { weft, model } = ceph.golden;
    await weft.ok(['apply', '-f', await model(MODEL), '--wait'], { timeoutMs: 400_000 });
  }, 1_300_000);
  /** One test's failure is not the next one's. */
  afterEach(async () => {
    writer?.stop();
    const { lab } = ceph.golden;
    const { hosts } = await lab.state();
    for (const { name } of hosts) {
      await lab.mend(name);
      await lab.powerOn(name);
    }
    await lab.waitForHosts(hosts.map(({ name }) => name));
  }, 180_000);
  afterAll(() => ceph?.down(), 60_000);

  const db = async () => rowOf(await ceph.golden.weft.ps('shop'), DB);
  const readyDb = () => waitFor('the machine to be ready', db, isReady);
  const events = () => ceph.golden.weft.json<Event[]>(['events']);
  const hostOf = async (name: string) =>
    (await ceph.golden.weft.json<Host[]>(['host', 'ls'])).find((host) => host.name === name);
  const on = (host: string, ...command: string[]) => ceph.golden.lab.exec(host, command);
  const asHost = (host: string, program: string, ...args: string[]) =>
    on(host, program, ...ceph.access, ...args);
  const qemusOfDb = async () =>
    (await runningQemus(ceph.golden)).filter((line) => line.includes('-shop-db-'));
  const addressOf = async (name: string) => (await ceph.golden.lab.host(name)).address;
  const isElsewhere = (home: string) => (row: PsRow) => isReady(row) && row.host !== home;
  const log = async () =>
    (await ceph.golden.weft.ok(['ssh', DB, '--', 'cat /root/log'])).trim().split('\n').map(Number);

  /** Writes in the guest, lets something happen to its host, and sees it go on elsewhere with all that was acknowledged. */
  async function survives(happens: (host: string) => Promise<void>) {
    const before = await readyDb();
    const home = String(before.host);
    writer = new Writer(ceph.golden.weft, DB);
    const writing = writer;
    await waitFor(
      'ten acknowledged writes',
      async () => writing.acknowledged,
      (count) => count >= 10,
      120_000,
    );
    await happens(home);
    const after = await waitFor('the machine to be ready elsewhere', db, isElsewhere(home));
    const acknowledged = writing.acknowledged;
    writing.stop();
    expect(after.incarnation).toBeGreaterThan(before.incarnation);
    const written = await log();
    expect(written.at(-1)).toBeGreaterThanOrEqual(acknowledged);
    const own = written.slice(written.lastIndexOf(1));
    expect(own).toEqual(own.map((_number, index) => index + 1));
    return { home, after };
  }

  /** Once it is let in again: nothing of the machine is left there, and the pool is offered. */
  async function comesBack(home: string): Promise<void> {
    await waitFor(
      'the host to be let in to Ceph again',
      () => ceph.cluster.blocklist(),
      (list) => list.every((address) => !address.endsWith(':0/0')),
    );
    expect((await on(home, 'virsh', 'list', '--all', '--name')).stdout).not.toContain('-shop-db-');
    expect(await qemusOfDb()).toHaveLength(1);
    await waitFor(
      'it to be told',
      events,
      (all) =>
        all.filter(({ kind }) => kind.startsWith('storage-fence')).at(-1)?.kind === 'storage-fence-lifted',
    );
    await ceph.golden.lab.makePools([POOL]);
  }

  test('is a clone of a protected golden image, on a network disk whose key nobody can read', async () => {
    const home = String((await readyDb()).host);
    const info = JSON.parse(await ceph.cluster.rbd('info', `${CEPH_POOL}/${IMAGE}`, '--format', 'json'));
    const parent = `${CEPH_POOL}/${info.parent.image}@${info.parent.snapshot}`;
    expect(parent).toMatch(/^vms\/image\.[0-9a-f]{64}@golden$/);
    expect(JSON.parse(await ceph.cluster.rbd('info', parent, '--format', 'json'))).toMatchObject({
      protected: 'true',
    });
    const [name] = (await on(home, 'virsh', 'list', '--name')).stdout.trim().split('\n');
    const xml = (await on(home, 'virsh', 'dumpxml', String(name))).stdout;
    expect(xml).toContain(`<source protocol='rbd' name='${CEPH_POOL}/${IMAGE}'`);
    const [, uuid = ''] = /<secret type='ceph' uuid='([^']+)'/.exec(xml) ?? [];
    await expect(on(home, 'virsh', 'secret-get-value', uuid)).rejects.toThrow(/private/);
    const key = /key = (\S+)/.exec((await on(home, 'cat', String(ceph.access.at(-1)))).stdout)?.[1] ?? 'none';
    expect((await qemusOfDb()).join()).not.toContain(key);
  });

  test('is backed up while it runs, and becomes its backup again', async () => {
    const ssh = async (command: string) =>
      (await ceph.golden.weft.ok(['ssh', DB, '--', command], { timeoutMs: 180_000 })).trim();
    await ssh('echo before >/root/state && sync');
    const { backup } = await ceph.golden.weft.json<{ backup: string }>(
      ['machine', 'backup', DB, '--to', 'vault', '--wait'],
      { timeoutMs: 300_000 },
    );
    await ssh('echo after >/root/state && sync');
    const restore = ['machine', 'restore', backup, '--in-place', '--wait'];
    await ceph.golden.weft.ok(restore, { timeoutMs: 400_000 });
    expect(await ssh('cat /root/state')).toBe('before');
    const info = JSON.parse(await ceph.cluster.rbd('info', `${CEPH_POOL}/${IMAGE}`, '--format', 'json'));
    expect(info.parent).toBeUndefined();
  });

  test('goes on elsewhere when its host is cut off and goes on running: the host is shut out of its disk first', async () => {
    await ceph.golden.weft.ok([
      'ssh',
      DB,
      '--',
      '(while :; do echo x >>/root/more; sync; sleep 1; done) >/dev/null 2>&1 </dev/null &',
    ]);
    const { home, after } = await survives((host) => ceph.golden.lab.cut(host, 'controller'));
    const all = (await events()).map(({ kind, subject }) => `${kind} ${subject}`);
    expect(all.lastIndexOf(`storage-fenced ${home}`)).toBeGreaterThan(all.lastIndexOf(`host-down ${home}`));
    expect(all.lastIndexOf(`storage-fenced ${home}`)).toBeLessThan(
      all.lastIndexOf(`machine-restarted ${DB}`),
    );
    expect(await ceph.golden.weft.ok(['why', DB])).toContain('has shut it out of Ceph cluster');
    // It is not dead, and nobody says so.
    expect(await hostOf(home)).toMatchObject({ state: 'down', proof: null });
    expect(await ceph.cluster.blocklist()).toContain(`${await addressOf(home)}:0/0`);

    // Both run, and only one of them can write.
    expect(await qemusOfDb()).toHaveLength(2);
    await expect(asHost(home, 'rados', '--pool', CEPH_POOL, 'put', 'late', '/etc/hostname')).rejects.toThrow(
      /\(108\)/,
    );
    await waitFor(
      'the guest that was left behind to be told that its disk is gone',
      async () => (await on(home, 'cat', '/var/lib/weft/agent/run/shop/db/console.log')).stdout,
      (console) => /I\/O error/.test(console),
    );
    await ceph.golden.weft.ok(['ssh', DB, '--', 'echo mine >/root/mine && sync && cat /root/mine']);

    await ceph.golden.lab.mend(home);
    await comesBack(home);
    expect(await db()).toMatchObject({ state: 'ready', host: after.host, incarnation: after.incarnation });
  });

  test('goes on elsewhere when its host loses power, and no lock of the dead one holds it up', async () => {
    const { home } = await survives((host) => ceph.golden.lab.powerOff(host));
    await ceph.golden.lab.powerOn(home);
    await comesBack(home);
  });

  describeLiveMoves(() => ceph, DB);

  test('is told that its pool is full, and nothing new is placed there until it has room', async () => {
    const { weft, model } = ceph.golden;
    const begun = (await events()).at(-1)?.sequence ?? 0;
    const isTold = (kind: string) => (all: readonly Event[]) =>
      all.some(
        (event) => event.sequence > begun && event.kind === kind && event.message.includes(`pool ${POOL} `),
      );
    await ceph.cluster.ceph('osd', 'pool', 'set-quota', CEPH_POOL, 'max_bytes', '1');
    await waitFor('the pool to be full', events, isTold('pool-full'), 180_000);
    await weft.ok(['apply', '-f', await model(MODEL.replace('name: shop', 'name: more'), 'more.yaml')]);
    await waitFor(
      'the new machine to be refused',
      () => weft.ok(['why', 'more/db']),
      (why) => why.includes(`pool ${POOL}`) && why.includes('run out of space'),
    );
    await weft.ok(['delete', 'more', '--wait'], { timeoutMs: 180_000 });
    await ceph.cluster.ceph('osd', 'pool', 'set-quota', CEPH_POOL, 'max_bytes', '0');
    await waitFor('the pool to have room', events, isTold('pool-has-room'), 180_000);
    await readyDb();
  });

  test('leaves nothing behind on any host, nor in the pool, but the golden image, which goes as well', async () => {
    await ceph.golden.weft.ok(['delete', 'shop', '--wait'], { timeoutMs: 180_000 });
    await waitUntilNothingIsLeft(ceph.golden);
    const images = JSON.parse(await ceph.cluster.rbd('ls', CEPH_POOL, '--format', 'json')) as string[];
    expect(images).toEqual([expect.stringMatching(/^image\./)]);
    const [host] = (await ceph.golden.lab.state()).hosts;
    await ceph.golden.weft.run(['host', 'doctor', String(host?.name), '--repair'], { timeoutMs: 180_000 });
    expect(JSON.parse(await ceph.cluster.rbd('ls', CEPH_POOL, '--format', 'json'))).toEqual([]);
    const trash = ['trash', 'ls', CEPH_POOL, '--format', 'json'];
    expect(JSON.parse(await ceph.cluster.rbd(...trash))).toMatchObject(images.map((name) => ({ name })));
  });
});
