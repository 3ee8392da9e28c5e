import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, rowOf, runningQemus } from '../support/hosts.ts';
import { leftoversOn } from '../support/leftovers.ts';
import { waitFor } from '../support/wait-for.ts';
import type { PsRow } from '../support/weft.ts';

const WORKERS = 3;
const model = (machines: string) => `
apiVersion: weft/v1
kind: Application
name: shop
roles:
  worker: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: ${WORKERS}}
machines:
  files: {image: "tiny:stable", size: ${TINY}, pool: san}
${machines}
`;
const DB = `  db: {image: "tiny:stable", size: ${TINY}, pool: local}`;
/** The startup of all but its first incarnation takes so long that whoever sees it begin can act before it ends. */
const SLOW = `
apiVersion: weft/v1
kind: Application
name: slow
roles:
  task: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 1, startup: [{run: "[ $WEFT_INCARNATION -eq 1 ] || sleep 45"}]}
`;
const changing = (greeting: string) => `
apiVersion: weft/v1
kind: Application
name: turn
roles:
  worker: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 2, env: {GREETING: ${greeting}}}
`;
const HOSTS = ['h1', 'h2', 'h3'] as const;
const POOL = '/var/lib/weft/pools/san';
const COPY = '/var/lib/weft/copy-of-san';

type Row = PsRow & { readonly successor: { readonly host: string } | null };

describe('moving on purpose', () => {
  let golden: GoldenLab;
  beforeAll(async () => {
    // Asked to boot anew, a host of the lab goes down; its power button is the lab's.
    // A bind mount keeps no names for a while, as a client of NFS does.
    const quick = { beatGraceSeconds: 15 };
    golden = await goldenLab('drain', {
      shared: ['san'],
      agent: { reboot: ['kill', '-TERM', '1'] },
      ...quick,
    });
    await golden.weft.ok(['apply', '-f', await golden.model(model(DB)), '--wait'], { timeoutMs: 400_000 });
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);

  const ps = async (app: string) => (await golden.weft.ps(app)) as readonly Row[];
  const hosts = () => golden.weft.hosts();
  const stateOf = async (name: string) => (await hosts()).find((host) => host.name === name)?.state;
  const events = () => golden.weft.events();
  const readyWorkers = (rows: readonly PsRow[]) =>
    rows.filter((row) => row.role === 'worker' && isReady(row)).length;
  const inside = (id: string, command: string) => golden.weft.inside(id, command);

  /**
   * What became of the workers meanwhile: each that left had a successor that was ready, and none was made anew without one. Told by
   * the events, as a look from outside may meet a guest whose connection was just lost.
   */
  async function expectReadyFirst(after: number, leavers: number, role = 'shop/worker'): Promise<void> {
    const told = (await events()).filter(
      ({ sequence, subject }) => sequence > after && subject.startsWith(`${role}-`),
    );
    const moved = told.filter(({ kind }) => kind === 'vm-moved').map(({ message }) => message);
    expect(moved.length).toBeGreaterThanOrEqual(leavers);
    for (const message of moved) expect(message).toMatch(/has taken the place of \d+ on h\d: it is ready$/);
    expect(told.filter(({ kind }) => kind === 'vm-placed' || kind === 'vm-heal')).toEqual([]);
    expect(told.filter(({ kind }) => kind === 'vm-successor')).toHaveLength(
      moved.length + told.filter(({ kind }) => kind === 'vm-successor-dropped').length,
    );
  }
  const lastEvent = async () => (await events()).at(-1)?.sequence ?? 0;

  /** Runs while hosts boot themselves: presses the power button of every one that has gone down. */
  async function withPowerButton<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const watched = work.finally(() => {
      isOver = true;
    });
    watched.catch(() => undefined);
    while (!isOver) {
      for (const host of HOSTS) await golden.lab.powerOn(host);
      await sleep(500);
    }
    return watched;
  }

  test('a host that drains is empty when each of its instances is ready elsewhere, and its machine with its data', async () => {
    await inside('shop/files', 'echo precious > /root/mark && sync');
    const before = await ps('shop');
    const home = String(rowOf(before, 'shop/db').host);
    // One that has workers and whose machine may go.
    const host =
      HOSTS.find((name) => name !== home && before.some((row) => row.host === name && row.role !== null)) ??
      'h1';
    const leavers = before.filter((row) => row.host === host);
    if (rowOf(before, 'shop/files').host !== host)
      await golden.weft.ok(['move', 'shop/files', '--cold', '--to', host, '--wait'], { timeoutMs: 400_000 });

    const begun = await lastEvent();
    await golden.weft.ok(['host', 'drain', host, '--cold', '--wait', '--timeout', '5m'], {
      timeoutMs: 400_000,
    });
    expect(await stateOf(host)).toBe('maintenance');
    expect((await leftoversOn(golden.lab, host)).qemus).toEqual([]);
    const after = await waitFor(
      'all to be ready',
      () => ps('shop'),
      (rows) => rows.every(isReady),
    );
    expect(after.filter((row) => row.host === host)).toEqual([]);
    for (const { id, incarnation } of leavers)
      expect(rowOf(after, id).incarnation).toBeGreaterThan(incarnation);
    expect(await inside('shop/files', 'cat /root/mark')).toBe('precious');

    const told = await events();
    const ofHost = told
      .filter(({ subject, kind }) => subject === host && /^host-(draining|maintenance)$/.test(kind))
      .map(({ kind }) => kind);
    expect(ofHost).toEqual(['host-draining', 'host-maintenance']);
    await expectReadyFirst(begun, leavers.filter(({ role }) => role !== null).length);
    await golden.weft.ok(['host', 'undrain', host]);
    await waitFor(
      'it to be in service',
      () => stateOf(host),
      (state) => state === 'up',
    );
  });

  test('a drain that is ended drops what is not ready, and the instance has never moved', async () => {
    await golden.weft.ok(['apply', '-f', await golden.model(SLOW, 'slow.yaml'), '--wait'], {
      timeoutMs: 400_000,
    });
    const before = rowOf(await ps('slow'), 'slow/task-0');
    const host = String(before.host);
    await golden.weft.ok(['host', 'drain', host]);
    await waitFor(
      'a successor in the making',
      async () => (await ps('slow')).find(({ id }) => id === before.id),
      (row) => (row as Row | undefined)?.successor != null,
    );
    await golden.weft.ok(['host', 'undrain', host]);
    const after = await waitFor(
      'no successor any more',
      async () => (await ps('slow')).find(({ id }) => id === before.id),
      (row) => row?.successor === null && isReady(row),
    );
    expect(after).toMatchObject({ host, incarnation: before.incarnation });
    expect((await events()).filter(({ kind }) => kind === 'vm-successor-dropped').at(-1)?.subject).toBe(
      before.id,
    );
    await waitFor(
      'one QEMU of it, in the whole lab',
      () => runningQemus(golden),
      (qemus) => qemus.filter((line) => line.includes('-slow-task-0')).length === 1,
    );
    await golden.weft.ok(['delete', 'slow', '--wait'], { timeoutMs: 180_000 });
  });

  test('instances whose definition changes are made anew on other hosts first', async () => {
    const apply = async (greeting: string) =>
      golden.weft.ok(['apply', '-f', await golden.model(changing(greeting), 'turn.yaml'), '--wait'], {
        timeoutMs: 400_000,
      });
    await apply('hello');
    const before = await ps('turn');
    const begun = await lastEvent();
    await apply('good-day');
    await expectReadyFirst(begun, before.length, 'turn/worker');
    for (const { id, host, incarnation } of before) {
      const after = rowOf(await ps('turn'), id);
      expect(after.host).not.toBe(host);
      expect(after.incarnation).toBeGreaterThan(incarnation);
    }
    await golden.weft.ok(['delete', 'turn', '--wait'], { timeoutMs: 180_000 });
  });

  test('a machine goes to no host that has a copy of its pool, mark and all, until that mounts the pool itself', async () => {
    await inside('shop/files', 'echo precious > /root/mark && sync');
    const home = String(rowOf(await ps('shop'), 'shop/files').host);
    const other = HOSTS.find((name) => name !== home) ?? 'h1';
    const on = (...command: string[]) => golden.lab.exec(other, command);
    await on('cp', '-a', POOL, COPY);
    await on('mount', '--bind', COPY, POOL);
    const notes = async () =>
      (await hosts()).flatMap(({ name, notes }) =>
        notes.some((note) => note.startsWith('pool san is not the storage')) ? [name] : [],
      );
    try {
      await waitFor('the copy to be found', notes, (found) => found.length === HOSTS.length, 300_000);
      const begun = await lastEvent();
      await golden.weft.ok(['move', 'shop/files', '--cold', '--to', other]);
      await waitFor('the move to be given up', events, (told) =>
        told.some(
          ({ sequence, kind, subject, message }) =>
            sequence > begun &&
            kind === 'vm-refused' &&
            subject === 'shop/files' &&
            message.includes(`could not be moved to ${other}`),
        ),
      );
      expect(rowOf(await ps('shop'), 'shop/files').host).toBe(home);
      expect(await golden.weft.ok(['why', 'shop/files'])).toContain('is a copy or another mount');
    } finally {
      await on('umount', '--lazy', POOL);
      await on('rm', '-rf', COPY);
    }
    await waitFor('the pool to be one again', notes, (found) => found.length === 0);
    await golden.weft.ok(['move', 'shop/files', '--cold', '--to', other]);
    await waitFor(
      'the machine to be there',
      async () => rowOf(await ps('shop'), 'shop/files'),
      (row) => isReady(row) && row.host === other,
    );
    expect(await inside('shop/files', 'cat /root/mark')).toBe('precious');
  });

  test('a roll stops at the host whose machine cannot leave, and says so; without it, it boots each host anew', async () => {
    const home = String(rowOf(await ps('shop'), 'shop/db').host);
    const stopped = await golden.weft.run(['host', 'roll', home, '--cold', '--timeout', '5m'], {
      timeoutMs: 400_000,
    });
    expect(stopped.exitCode).toBe(1);
    expect(stopped.stderr).toContain('waits for an operator: machine shop/db on local pool local');
    expect(await stateOf(home)).toBe('draining');
    await golden.weft.ok(['host', 'undrain', home]);
    await golden.weft.ok(['delete', 'shop/db', '--wait'], { timeoutMs: 180_000 });

    const boots = new Map((await hosts()).map(({ name, bootId }) => [name, bootId]));
    const begun = await lastEvent();
    // Whoever rolls is gone while the first host is being emptied; the next one goes on.
    const cutShort = golden.weft.start(['host', 'roll', '--cold']);
    const drained = await waitFor(
      'a host to be drained by the roll',
      async () => (await hosts()).find(({ roll }) => roll !== null),
      (host) => host !== undefined,
    );
    cutShort.kill('SIGKILL');
    expect(drained?.notes.join()).toContain(`weft host undrain ${drained?.name}`);
    const rolled = await withPowerButton(
      golden.weft.run(['host', 'roll', '--cold', '--timeout', '6m'], { timeoutMs: 1_000_000 }),
    );
    expect(rolled.stderr).toContain(`left h1, h2, h3; ${drained?.name} is drained`);
    expect(rolled.exitCode).toBe(0);
    expect((await hosts()).map(({ roll }) => roll)).toEqual([null, null, null]);
    // Each left its host once at least.
    await expectReadyFirst(begun, WORKERS);
    for (const { name, bootId, state } of await hosts()) {
      expect(state).toBe('up');
      expect(bootId).not.toBe(boots.get(name));
    }
    expect(await inside('shop/files', 'cat /root/mark')).toBe('precious');
  }, 1_100_000);

  test('a host is removed when it is empty, or proven dead: what only it had is lost with it, on the record', async () => {
    await golden.weft.ok(['apply', '-f', await golden.model(model(DB)), '--wait'], { timeoutMs: 400_000 });
    const home = String(rowOf(await ps('shop'), 'shop/db').host);
    const refused = await golden.weft.run(['host', 'rm', home]);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain(`host ${home} is up`);

    await golden.lab.powerOff(home);
    await waitFor(
      'it to be down',
      () => stateOf(home),
      (state) => state === 'down',
    );
    await waitFor(
      'all workers to be ready elsewhere',
      () => ps('shop'),
      (rows) => readyWorkers(rows) === WORKERS,
    );
    const unproven = await golden.weft.run(['host', 'rm', home, '--force']);
    expect(unproven.exitCode).toBe(1);
    expect(unproven.stderr).toContain(`nothing proves that host ${home} is dead`);

    await golden.weft.ok(['host', 'confirm-dead', home, '--yes']);
    await waitFor(
      'it to be fenced',
      () => stateOf(home),
      (state) => state === 'fenced',
    );
    await waitFor(
      'the other machine to be ready elsewhere',
      async () => rowOf(await ps('shop'), 'shop/files'),
      (row) => isReady(row) && row.host !== home,
    );
    expect((await golden.weft.run(['host', 'rm', home])).stderr).toContain('still has shop/db');
    await golden.weft.ok(['host', 'rm', home, '--force']);
    expect((await hosts()).map(({ name }) => name)).not.toContain(home);
    expect(await golden.weft.ok(['why', 'shop/db'])).toContain('was removed as dead: admin signed');
    await golden.weft.ok(['delete', 'shop', '--wait'], { timeoutMs: 180_000 });
    await waitFor(
      'nothing to run',
      () => runningQemus(golden),
      (qemus) => qemus.length === 0,
    );
  });
});
