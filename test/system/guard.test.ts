import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { supervisedPid } from '../lab/host.ts';
import { isAlive, recordProcess } from '../lab/processes.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, rowOf, runningQemus, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { waitFor } from '../support/wait-for.ts';

const MODEL = `
apiVersion: weft/v1
kind: Application
name: shop
roles:
  worker: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 1}
machines:
  db: {image: "tiny:stable", size: ${TINY}, pool: san}
  log: {image: "tiny:stable", size: ${TINY}}
`;
const DB = 'shop/db';
const HOST = 'h1';
const LEASE_MS = 10_000;
/** A file stands for the device: this machine has none. What was written to it last is at its end. */
const WATCHDOG = '/var/lib/weft/watchdog';

interface Dossier {
  readonly restarts: {
    readonly count: number;
    readonly recent: readonly { readonly cause: string }[];
  } | null;
}

describe('a host with a guard', () => {
  let golden: GoldenLab;
  beforeAll(async () => {
    const guard = { enabled: true, watchdog: WATCHDOG, leaseMs: LEASE_MS };
    golden = await goldenLab('guard', { hosts: 1, shared: ['san'], agent: { guard } });
    await onHost('touch', WATCHDOG);
    await golden.weft.ok(['apply', '-f', await golden.model(MODEL), '--wait'], { timeoutMs: 400_000 });
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);

  const onHost = async (...command: string[]) =>
    (await golden.lab.exec(HOST, command, { okExitCodes: [0, 1] })).stdout.trim();
  const agentPid = async () => supervisedPid(await golden.lab.host(HOST), 'weft-agent');
  const guardPid = async () => supervisedPid(await golden.lab.host(HOST), 'weft-guard');
  const qemus = async (part: string) => (await runningQemus(golden)).filter((line) => line.includes(part));
  const others = async () => (await runningQemus(golden)).filter((line) => !line.includes('-shop-db-'));
  const causes = async () =>
    ((await golden.weft.json<Dossier>(['why', DB])).restarts?.recent ?? []).map(({ cause }) => cause);
  const untilStopped = () =>
    waitFor(
      'the machine on the shared pool to be stopped',
      () => qemus('-shop-db-'),
      (found) => found.length === 0,
    );
  const untilReady = () =>
    waitFor(
      'the machine to be ready',
      async () => rowOf(await golden.weft.ps('shop'), DB),
      (row) => isReady(row) && row.host === HOST,
      300_000,
    );
  const notes = async () => (await golden.weft.hosts()).flatMap((host) => host.notes);

  test('says so, and feeds its watchdog', async () => {
    const told = await waitFor('the guard to be told of', notes, (all) =>
      all.some((note) => note.startsWith('guard: on, lease 10 s, watchdog armed')),
    );
    // A file is no hardware, and nothing is proven by it.
    expect(told.join('\n')).toContain('not to be relied on: sysfs does not know it');
    const size = async () => Number(await onHost('stat', '-c', '%s', WATCHDOG));
    const before = await size();
    await waitFor('the watchdog to be fed', size, (now) => now > before + 3);
  });

  test('stops the machines on shared pools, and nothing else, when its agent hangs; they go on when it does', async () => {
    const before = await untilReady();
    const running = await others();
    expect(running.map((line) => /-shop-([a-z]+)/.exec(line)?.[1]).sort()).toEqual(['log', 'worker']);
    const agent = await agentPid();
    process.kill(agent, 'SIGSTOP');
    try {
      await untilStopped();
      expect(await others()).toEqual(running);
      expect(await onHost('tail', '-c', '1', WATCHDOG)).toBe('.');
    } finally {
      process.kill(agent, 'SIGCONT');
    }
    const after = await untilReady();
    expect(after.incarnation).toBe(before.incarnation);
    await waitFor('the cause to be told', causes, (told) => told.includes('lease'));
    expect(await golden.weft.ok(['why', DB])).toContain('this host had lost its lease');
    expect(await qemus('-shop-db-')).toHaveLength(1);
    expect(await qemus('-shop-log-')).toEqual(running.filter((line) => line.includes('-shop-log-')));
  });

  test('does so when it is cut off, and starts nothing again before it hears the controller', async () => {
    const count = (await causes()).length;
    await golden.lab.cut(HOST, null);
    await untilStopped();
    await golden.lab.mend(HOST);
    await untilReady();
    await waitFor('the cause to be told', causes, (told) => told.length > count && told.at(-1) === 'lease');
  });

  test('has its guard back when that is killed, and keeps everything running', async () => {
    const running = await qemus('-shop-db-');
    const before = recordProcess(await guardPid());
    process.kill(before.pid, 'SIGKILL');
    await waitFor(
      'another guard',
      () => guardPid().catch(() => before.pid),
      (pid) => pid !== before.pid && !isAlive(before),
    );
    const size = async () => Number(await onHost('stat', '-c', '%s', WATCHDOG));
    const fed = await size();
    await waitFor('the watchdog to be fed again', size, (now) => now > fed + 3);
    expect(await qemus('-shop-db-')).toEqual(running);
  });

  test('disarms its watchdog in good order, with its machines running, once the controller knows', async () => {
    const running = await qemus('-shop-db-');
    await onHost('sed', '-i', 's/enabled: true/enabled: false/', '/etc/weft/agent.yaml');
    process.kill(await agentPid(), 'SIGKILL');
    await waitFor(
      'the magic close',
      () => onHost('tail', '-c', '1', WATCHDOG),
      (last) => last === 'V',
    );
    expect((await notes()).filter((note) => note.startsWith('guard:'))).toEqual([]);
    expect(await qemus('-shop-db-')).toEqual(running);
  });

  test('without its guard it keeps everything running, however long its agent hangs', async () => {
    const running = await waitFor(
      'all to be ready',
      () => golden.weft.ps('shop'),
      (rows) => rows.length === 3 && rows.every(isReady),
    ).then(() => runningQemus(golden));
    const agent = await agentPid();
    const stoppedAtMs = Date.now();
    process.kill(agent, 'SIGSTOP');
    try {
      await waitFor(
        'more than a lease to have gone by',
        async () => Date.now() - stoppedAtMs,
        (ms) => ms > 1.5 * LEASE_MS,
      );
      expect(await runningQemus(golden)).toEqual(running);
    } finally {
      process.kill(agent, 'SIGCONT');
    }
  });

  test('leaves nothing behind', async () => {
    await golden.weft.ok(['delete', 'shop', '--wait'], { timeoutMs: 180_000 });
    await waitUntilNothingIsLeft(golden);
  });
});
