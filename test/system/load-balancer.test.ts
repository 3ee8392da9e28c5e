import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Authority } from '../../controller/fleet/authority.ts';
import { supervisedPid } from '../lab/host.ts';
import { type GoldenLab, goldenLab } from '../support/golden-lab.ts';
import type { HeldRequest } from '../support/held-request.ts';
import { isReady, rowOf, waitOnEveryHost, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { PublicFront } from '../support/public-front.ts';
import { backendOf, LONG_DRAIN_MS, NAMES, ServedFront, SLACK_MS } from '../support/served-front.ts';
import { SteadyConnects } from '../support/steady-connects.ts';
import { ask, SteadyLoad } from '../support/steady-load.ts';
import { waitFor } from '../support/wait-for.ts';

const SHORT_DRAIN_MS = 8_000;

describe('an application behind a public address', () => {
  let golden: GoldenLab;
  let front: ServedFront;
  let load: SteadyLoad | null = null;
  let connects: SteadyConnects | null = null;
  let held: readonly HeldRequest[] = [];
  /** So many in a row were answered: it goes on, whatever came before. */
  const goesOn = (loading: SteadyLoad, count = 40) =>
    waitFor(
      'requests to be answered',
      async () => loading.answeredInARow,
      (answered) => answered >= count,
    );
  /** Clients that are answered, until the test is over. @param timeoutMs after which a request has failed. */
  const underLoad = async (timeoutMs?: number) => {
    const loading = new SteadyLoad(front.urls, timeoutMs);
    load = loading;
    await goesOn(loading);
    return loading;
  };
  const endsUnbroken = async (loading: SteadyLoad, sinceMs = 0) => {
    await goesOn(loading);
    await loading.stop();
    expect(loading.failures.filter(({ atMs }) => atMs > sinceMs)).toEqual([]);
  };

  beforeAll(async () => {
    golden = await goldenLab('load-balancer', {
      publicAddresses: 4,
      agentOf: ({ address }) => ({ names: { listen: [address] } }),
    });
    front = new ServedFront(golden);
    await front.apply('/etc', 3);
  }, 1_300_000);
  afterEach(async () => {
    for (const each of held) each.drop();
    held = [];
    await Promise.all([load?.stop(), connects?.stop()]);
  }, 60_000);
  afterAll(() => golden?.down(), 60_000);

  test('is asked there in turn, whichever host serves it', async () => {
    expect(front.vip).toMatch(/^10\.77\.\d+\.20[0-3]$/);
    await front.untilServed();
    for (const [index, name] of NAMES.entries())
      expect((await front.endpoints())[index]).toMatchObject({
        id: `front/web/${name}`,
        addresses: [front.vip],
      });
    load = new SteadyLoad(front.urls);
    const loading = load;
    await goesOn(loading, 60);
    await loading.stop();
    expect(loading.failures).toEqual([]);
    for (const url of front.urls) {
      const counts = new Map<string, number>();
      for (const { body } of loading.asked.filter((each) => each.url === url))
        counts.set(body, (counts.get(body) ?? 0) + 1);
      // In turn, seen from two clients: nobody has twice what another has.
      expect(counts.size).toBe(3);
      expect(Math.max(...counts.values())).toBeLessThan(2 * Math.min(...counts.values()));
    }
  }, 180_000);

  // Until then one may be lost: a connection that it had accepted, or one that nobody answers.
  test('loses no request to an instance that dies, once it has been found out', async () => {
    const row = rowOf(await front.rows(), 'front/web-1');
    const qemu = await front.qemuOf(row);
    const loading = await underLoad();
    expect(loading.failures).toEqual([]);
    await golden.lab.exec(String(row.host), ['kill', '-KILL', qemu]);
    const outMs = await front.untilOut(backendOf(row));
    await front.untilServed(180_000);
    await endsUnbroken(loading, outMs);
  }, 300_000);

  // Nothing but a look from outside tells: its process is there, and the agent of its host, which looks as well, is held up.
  test('nor to one that falls silent, and ends what is open with it', async () => {
    const rows = await front.rows();
    const home = await front.holder();
    const silent = rows.find(({ host }) => host !== home) ?? rowOf(rows, 'front/web-1');
    const others = rows.filter(({ id }) => id !== silent.id).map(({ index }) => `web-${index}`);
    const host = String(silent.host);
    const agent = await supervisedPid(await golden.lab.host(host), 'weft-agent');
    const qemu = await front.qemuOf(silent);
    held = await front.hold();
    const loading = await underLoad();
    try {
      process.kill(agent, 'SIGSTOP');
      await golden.lab.exec(host, ['kill', '-STOP', qemu]);
      const outMs = await front.untilOut(backendOf(silent));
      await waitFor(
        'what is open with it to be ended',
        async () => held.filter(({ endedMs }) => endedMs !== null).length,
        (ended) => ended > 0,
        SLACK_MS,
      );
      const open = held.filter(({ endedMs }) => endedMs === null);
      const answers = await Promise.all(open.map((each) => each.finish()));
      expect([...new Set(answers)].sort()).toEqual(others.sort());
      await endsUnbroken(loading, outMs);
    } finally {
      await golden.lab.exec(host, ['kill', '-CONT', qemu]);
      process.kill(agent, 'SIGCONT');
    }
    await front.untilServed(180_000);
    await endsUnbroken(await underLoad());
  }, 300_000);

  test('loses no request when it is scaled in, nor what is open with the one that goes', async () => {
    held = await front.hold();
    const loading = await underLoad();
    await golden.weft.ok(['scale', 'front/web=2']);
    const draining = async () => (await front.rows()).filter(({ state }) => state === 'draining');
    const [leaver] = await waitFor('one to be draining', draining, ({ length }) => length === 1, 60_000);
    const drainingMs = Date.now();
    const name = `web-${leaver?.index}`;
    await waitFor(
      'new connections to go to others',
      () => Promise.all(Array.from({ length: 6 }, () => ask(String(front.urls[1])))),
      (answers) => answers.every(({ error, body }) => error === null && body !== name),
      SLACK_MS,
    );
    expect((await draining()).map(({ id }) => id)).toEqual([leaver?.id]);
    const answers = await Promise.all(held.map((each) => each.finish()));
    expect(answers).toContain(name);
    expect(answers).not.toContain('');
    await waitFor(
      'two to be left',
      () => front.rows(),
      (rows) => rows.length === 2,
    );
    // With nothing open it goes before its time is over.
    expect(Date.now() - drainingMs).toBeLessThan(LONG_DRAIN_MS);
    await front.untilServed();
    await endsUnbroken(loading);
  }, 300_000);

  test('loses no request while every instance is replaced', async () => {
    const before = await front.backends();
    const loading = await underLoad();
    // The same files by another name: a definition that differs.
    await front.apply('/etc/', 2);
    await waitFor(
      'all to be new',
      () => front.backends(),
      (names) => names.length === 2 && names.every((name) => !before.includes(name)),
    );
    await front.untilServed();
    await endsUnbroken(loading);
  }, 500_000);

  test('loses no request to an agent that dies, nor when an instance gets its image anew', async () => {
    const { host, incarnation } = rowOf(await front.rows(), 'front/web-0');
    const loading = await underLoad();
    const agent = await supervisedPid(await golden.lab.host(String(host)), 'weft-agent');
    process.kill(agent, 'SIGKILL');
    await golden.weft.ok(['reimage', 'front/web-0']);
    await waitFor(
      'it to be a new one',
      () => front.rows(),
      (rows) => rows.every(isReady) && rowOf(rows, 'front/web-0').incarnation > incarnation,
    );
    await front.untilServed();
    await endsUnbroken(loading);
  }, 300_000);

  test('is served again when its servers are killed', async () => {
    const home = await front.holder();
    const { hosts } = await golden.lab.state();
    const authority = await Authority.open(golden.folder, 'of a test', Date.now());
    const seen = new PublicFront(
      golden,
      authority,
      hosts.map(({ name }) => name),
    );
    for (const program of ['haproxy', 'keepalived', 'knotd']) {
      const pidOf = async () =>
        (await golden.lab.exec(home, ['pgrep', '-o', program], { okExitCodes: [0, 1] })).stdout.trim();
      const killed = await waitFor(`${program} to run`, pidOf, (pid) => pid !== '', 60_000);
      await golden.lab.exec(home, ['kill', '-KILL', killed]);
      await waitFor(`${program} to run again`, pidOf, (pid) => pid !== '' && pid !== killed, 60_000);
      await seen.holderOf([front.vip]);
      // It has no address of IPv6.
      await seen.untilNamed('front.weft.internal', [front.vip, 'ENODATA']);
    }
    await underLoad(2_000);
    await front.untilServed();
  }, 300_000);

  test('is served by another host when the one that has its address loses power', async () => {
    const home = await waitFor(
      'a host to have the address',
      () => front.holder(),
      (name) => name !== '',
      60_000,
    );
    const loading = await underLoad(500);
    // Answers also wait for guests that died with the host: the address alone is back before them.
    const connecting = new SteadyConnects(front.vip, 80);
    connects = connecting;
    await golden.lab.powerOff(home);
    await waitFor(
      'another to have it',
      () => front.holder(),
      (name) => name !== '' && name !== home,
      60_000,
    );
    await waitFor(
      'all to be ready elsewhere',
      () => front.rows(),
      (rows) => rows.every((row) => isReady(row) && row.host !== home),
    );
    await front.untilServed();
    await goesOn(loading);
    await loading.stop();
    const addressGapMs = await connecting.stop();
    console.log(`  the longest time in which nobody was answered: ${loading.longestGapMs} ms`);
    console.log(`  and in which the address took no connection: ${addressGapMs.toFixed(0)} ms`);
    // It is less than 3 s where the machine has time for it: see the benchmark `address`.
    expect(addressGapMs).toBeLessThan(10_000);
    expect(loading.longestGapMs).toBeLessThan(30_000);
    await golden.lab.powerOn(home);
    await golden.lab.waitForHosts([home]);
  }, 300_000);

  test('goes on for what is kept open as long as that may last, when it is deleted', async () => {
    const before = await front.backends();
    await front.apply('/etc/', 2, SHORT_DRAIN_MS);
    expect(await front.backends()).toEqual(before);
    await front.untilServed();
    held = await front.hold();
    const askedMs = Date.now();
    await golden.weft.ok(['delete', 'front']);
    const toldMs = Date.now();
    const ends = await waitFor(
      'all to be ended',
      async () => held.map(({ endedMs }) => endedMs ?? Number.POSITIVE_INFINITY),
      (times) => times.every(Number.isFinite),
      SHORT_DRAIN_MS + SLACK_MS,
    );
    expect(Math.min(...ends) - askedMs).toBeGreaterThanOrEqual(SHORT_DRAIN_MS);
    expect(Math.max(...ends) - toldMs).toBeLessThan(SHORT_DRAIN_MS + SLACK_MS);
  }, 180_000);

  test('leaves nothing behind', async () => {
    await golden.clear();
    await waitUntilNothingIsLeft(golden);
    const serversOn = (host: string) =>
      golden.lab.exec(host, ['pgrep', 'haproxy|keepalived'], { okExitCodes: [0, 1] });
    await waitOnEveryHost(golden, 'no server of ours', serversOn, ({ stdout }) => stdout.trim() === '');
  }, 180_000);
});
