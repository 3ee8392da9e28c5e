import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, rowOf, runningQemus, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { waitFor } from '../support/wait-for.ts';
import type { PsRow } from '../support/weft.ts';

const MODEL = `
apiVersion: weft/v1
kind: Application
name: shop
roles:
  worker: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 3}
machines:
  db: {image: "tiny:stable", size: ${TINY}, pool: local}
`;

describe('when a host loses power', () => {
  let golden: GoldenLab;
  beforeAll(async () => {
    golden = await goldenLab('hosts', { quickDown: true });
    await golden.weft.ok(['apply', '-f', await golden.model(MODEL), '--wait'], { timeoutMs: 400_000 });
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);
  const inside = (id: string, command: string) => golden.weft.inside(id, command);
  const workers = (rows: readonly PsRow[]) => rows.filter((row) => row.role === 'worker');

  test('its instances reappear elsewhere, fresh; its machine waits as unknown and comes back with its data', async () => {
    const before = await golden.weft.ps('shop');
    const home = String(rowOf(before, 'shop/db').host);
    const lost = workers(before).filter((row) => row.host === home);
    await inside('shop/db', 'echo precious > /root/mark && sync');
    for (const row of lost) await inside(row.id, 'echo fleeting > /root/mark && sync');

    await golden.lab.powerOff(home);
    const healed = await waitFor(
      'three ready instances on the other hosts',
      () => golden.weft.ps('shop'),
      (rows) =>
        workers(rows).filter((row) => isReady(row) && row.host !== home).length === 3 &&
        rowOf(rows, 'shop/db').state === 'unknown',
    );
    const machine = rowOf(healed, 'shop/db');
    expect(machine.host).toBe(home);
    expect(machine.incarnation).toBe(rowOf(before, 'shop/db').incarnation);
    for (const row of lost) {
      expect(rowOf(healed, row.id).incarnation).toBeGreaterThan(row.incarnation);
      expect(await inside(row.id, 'cat /root/mark || echo fresh')).toBe('fresh');
    }

    await golden.lab.powerOn(home);
    await waitFor(
      'the machine to be ready again',
      async () => rowOf(await golden.weft.ps('shop'), 'shop/db'),
      isReady,
    );
    expect(await inside('shop/db', 'cat /root/mark')).toBe('precious');
    await golden.weft.ok(['delete', 'shop', '--wait'], { timeoutMs: 180_000 });
    await waitUntilNothingIsLeft(golden);
  });
});

describe('when the controller loses its store', () => {
  let golden: GoldenLab;
  beforeAll(async () => {
    golden = await goldenLab('lost', { hosts: 2 });
  }, 900_000);
  afterAll(() => golden?.down(), 60_000);

  test('its hosts join again, and the machine goes on with its disk where it is', async () => {
    const { lab, weft } = golden;
    const model = await golden.model(`
apiVersion: weft/v1
kind: Application
name: kept
roles:
  worker: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 1}
machines:
  db: {image: "tiny:stable", size: ${TINY}, pool: local}
`);
    await weft.ok(['apply', '-f', model, '--wait'], { timeoutMs: 400_000 });
    const before = rowOf(await weft.ps('kept'), 'kept/db');
    await weft.ok(['ssh', 'kept/db', '--', 'echo precious > /root/mark && sync']);

    await lab.loseStore();
    await waitFor(
      'the controller to answer, empty',
      () => weft.run(['host', 'ls', '--json']),
      ({ exitCode, stdout }) => exitCode === 0 && stdout.trim() === '[]',
    );
    for (const host of ['h1', 'h2']) await lab.rejoin(host);
    await lab.waitForHosts(['h1', 'h2']);
    await waitFor(
      'the machine to be found',
      () => weft.hosts(),
      (hosts) =>
        hosts.some(
          ({ name, notes }) => name === before.host && notes.join().includes('machine kept/db is here'),
        ),
    );
    // The machine ran all the while; the catalogue was part of the store.
    expect(await runningQemus(golden)).not.toHaveLength(0);
    await weft.ok(['image', 'build', 'tiny'], { timeoutMs: 900_000 });
    await weft.ok(['apply', '-f', model, '--wait'], { timeoutMs: 400_000 });
    const after = rowOf(await weft.ps('kept'), 'kept/db');
    expect(after.host).toBe(before.host);
    expect(after.incarnation).toBeGreaterThan(before.incarnation);
    expect((await weft.ok(['ssh', 'kept/db', '--', 'cat /root/mark'])).trim()).toBe('precious');
    await waitFor(
      'two QEMUs',
      () => runningQemus(golden),
      (qemus) => qemus.length === 2,
    );
    await weft.ok(['delete', 'kept', '--wait'], { timeoutMs: 180_000 });
    await waitUntilNothingIsLeft(golden);
  });
});
