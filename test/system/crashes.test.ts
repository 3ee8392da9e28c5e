import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { supervisedPid } from '../lab/host.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, runningQemus, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { waitFor } from '../support/wait-for.ts';

/** mulberry32: a small seeded generator, so that a failing run can be repeated. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const seed = Number(process.env.WEFT_SEED ?? '20121');
const VICTIMS = ['agent', 'controller', 'libvirtd'] as const;

describe(`kill -9 in the middle of a provisioning (seed ${seed})`, () => {
  let golden: GoldenLab;
  const random = seeded(seed);
  beforeAll(async () => {
    golden = await goldenLab('crash', { hosts: 2 });
  }, 900_000);
  afterEach(() => golden.clear(), 300_000);
  afterAll(() => golden?.down(), 60_000);

  const kill = async (victim: (typeof VICTIMS)[number]) => {
    if (victim === 'controller') {
      process.kill(await golden.lab.controllerPid(), 'SIGKILL');
      return;
    }
    const { hosts } = await golden.lab.state();
    for (const host of hosts) {
      const pid = await supervisedPid(host, victim === 'agent' ? 'weft-agent' : 'libvirtd-supervised').catch(
        () => 0,
      );
      if (pid > 0) process.kill(pid, 'SIGKILL');
    }
  };

  for (const victim of VICTIMS) {
    for (const round of [1, 2]) {
      test(`of ${victim}, round ${round}: the end state is right and nothing is orphaned`, async () => {
        const app = `c${victim.slice(0, 3)}${round}`;
        const file = await golden.model(`
apiVersion: weft/v1
kind: Application
name: ${app}
roles:
  worker:
    kind: worker
    image: tiny:stable
    size: ${TINY}
    instances: 3
    startup:
      - {run: "echo once >> /root/runs", kind: simple, timeout: 1m}
machines:
  db: {image: "tiny:stable", size: ${TINY}, pool: local}
`);
        await golden.weft.ok(['apply', '-f', file]);
        await sleep(100 + random() * 9_000);
        await kill(victim);
        await waitFor(
          'everything to be ready',
          () => golden.weft.ps(app).catch(() => []),
          (rows) => rows.length === 4 && rows.every(isReady),
          240_000,
        );
        // Exactly one QEMU for each VM, whatever was half done when the process died.
        await waitFor(
          'four QEMUs',
          () => runningQemus(golden),
          (qemus) => qemus.length === 4,
          30_000,
        );
        for (const id of [`${app}/worker-0`, `${app}/worker-2`]) {
          expect((await golden.weft.ok(['ssh', id, '--', 'cat /root/runs'])).trim()).toBe('once');
        }
        // The delete is hit as well.
        await golden.weft.ok(['delete', app]);
        await sleep(random() * 1_500);
        await kill(victim);
        await waitFor(
          'the application to be gone',
          () => golden.weft.ps().catch(() => null),
          (rows) => rows?.every(({ id }) => !id.startsWith(`${app}/`)) === true,
        );
        await waitUntilNothingIsLeft(golden);
      });
    }
  }

  test('of all three while everything runs: no VM stops', async () => {
    const file = await golden.model(`
apiVersion: weft/v1
kind: Application
name: calm
roles:
  worker: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 2}
`);
    await golden.weft.ok(['apply', '-f', file, '--wait'], { timeoutMs: 300_000 });
    const pids = (qemus: readonly string[]) => qemus.map((line) => line.split(' ')[0]).sort();
    const before = pids(await runningQemus(golden));
    for (const victim of VICTIMS) await kill(victim);
    await sleep(3_000);
    await waitFor(
      'all ready',
      () => golden.weft.ps('calm').catch(() => []),
      (rows) => rows.length === 2 && rows.every(isReady),
    );
    expect(pids(await runningQemus(golden))).toEqual(before);
    await golden.weft.ok(['delete', 'calm', '--wait'], { timeoutMs: 180_000 });
    await waitUntilNothingIsLeft(golden);
  });
});
