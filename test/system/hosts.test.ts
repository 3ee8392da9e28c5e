import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, rowOf, runningQemus, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { leftoversOn } from '../support/leftovers.ts';
import { SteadyLoad } from '../support/steady-load.ts';
import { DatagramWatch, nameOf, POST, Speaker, sendDatagrams } from '../support/superseded.ts';
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

describe('when a host loses power, or is cut off', () => {
  let golden: GoldenLab;
  beforeAll(async () => {
    golden = await goldenLab('hosts', { quickDown: true, publicAddresses: 1 });
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

  test('an instance that lives on there is heard by no other host once it is superseded, nor served, and goes when its host is back', async () => {
    const { lab, weft } = golden;
    await weft.ok(['apply', '-f', await golden.model(POST), '--wait'], { timeoutMs: 400_000 });
    const published = await waitFor(
      'both to be served',
      async () => (await weft.endpoints('post'))[0],
      (endpoint) =>
        endpoint?.host != null && endpoint.backends.filter(({ state }) => state === 'up').length === 2,
    );
    const before = await weft.ps('post');
    // A host that is cut off from the controller alone serves on what it has: this is about all others.
    const old = before.find(({ role, host }) => role === 'sender' && host !== published?.host);
    if (!old) throw new Error(`both senders are on one host: ${JSON.stringify(before)}`);
    const home = String(old.host);
    const receivers = before.filter(({ role, host }) => role === 'receiver' && host !== home);
    expect(receivers).not.toEqual([]);
    const speaker = await Speaker.start(weft, old, receivers);
    const watches = await Promise.all(receivers.map((receiver) => DatagramWatch.start(lab, old, receiver)));
    const datagrams = () => Promise.all(watches.map((watch) => watch.counts()));
    await sendDatagrams(weft, old, receivers);
    await waitFor('its datagrams', datagrams, (all) => all.every(({ delivered }) => delivered > 2), 60_000);
    const load = new SteadyLoad([`http://${published?.addresses[0]}:80/who`]);
    const answeredBy = (name: string, sinceMs = 0) =>
      load.asked.filter(({ atMs, body, error }) => error === null && body === name && atMs > sinceMs).length;
    const untilAnsweredBy = (name: string, sinceMs?: number) =>
      waitFor(
        `${name} to answer the world`,
        async () => answeredBy(name, sinceMs),
        (count) => count > 20,
        60_000,
      );
    try {
      await untilAnsweredBy(nameOf(old));
      await lab.cut(home, 'controller');
      const next = await waitFor(
        'a successor to be ready elsewhere',
        async () => rowOf(await weft.ps('post'), old.id),
        (row) => isReady(row) && row.incarnation > old.incarnation,
      );
      const supersededMs = Date.now();
      expect(next.host).not.toBe(home);
      // The harder case: by its address it is known from the old one by nothing but where it is.
      expect(next.address).toBe(old.address);
      const told = await speaker.heard();
      const sent = await datagrams();

      await Speaker.start(weft, next, receivers);
      await untilAnsweredBy(nameOf(next), supersededMs);
      // It goes on: its host lets it, and what it sends comes as far as the hosts of those that it is for.
      const goesOn = await waitFor('the old one to send', datagrams, (all) =>
        all.every(({ arrived }, index) => arrived > (sent[index]?.arrived ?? 0) + 3),
      );
      const delivered = sent.map((each) => each.delivered);
      expect(goesOn.map((each) => each.delivered)).toEqual(delivered);
      expect(await speaker.heard()).toEqual(told);
      const qemusOfOld = async () =>
        (await leftoversOn(lab, home)).qemus.filter((line) => line.includes(`-${old.id.replace('/', '-')}-`));
      expect(await qemusOfOld()).toHaveLength(1);

      await lab.mend(home);
      await waitFor('the old one to be gone', qemusOfOld, (qemus) => qemus.length === 0);
      await lab.waitForHosts([home]);
      expect((await datagrams()).map((each) => each.delivered)).toEqual(delivered);
      expect(await speaker.heard()).toEqual(told);
      expect(answeredBy(nameOf(old), supersededMs)).toBe(0);
      expect(rowOf(await weft.ps('post'), old.id)).toMatchObject({
        host: next.host,
        incarnation: next.incarnation,
      });
    } finally {
      await load.stop();
      await lab.mend(home);
      for (const watch of watches) await watch.end();
    }
    await golden.clear();
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
