import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, mendAllHosts, rowOf, runningQemus, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { LabWatchdog, WATCHDOG_DEVICE } from '../support/lab-watchdog.ts';
import { waitFor } from '../support/wait-for.ts';

const MODEL = `
apiVersion: weft/v1
kind: Application
name: shop
roles: {}
machines:
  db: {image: "tiny:stable", size: ${TINY}, pool: san}
`;
const DB = 'shop/db';

describe('a host without a fence device, whose guard feeds a watchdog', () => {
  let golden: GoldenLab;
  let watchdogs: readonly LabWatchdog[] = [];
  beforeAll(async () => {
    const guard = { enabled: true, watchdog: WATCHDOG_DEVICE, leaseMs: 10_000 };
    golden = await goldenLab('lease-proof', { hosts: 2, shared: ['san'], agent: { guard } });
    watchdogs = (await golden.lab.state()).hosts.map(({ name }) => new LabWatchdog(golden.lab, name, 10_000));
    for (const watchdog of watchdogs) await watchdog.plugIn();
    await waitFor('both guards to be armed', hosts, (all) =>
      all.every(({ notes }) => notes.includes('guard: on, lease 10 s, watchdog armed (lab watchdog, 10 s)')),
    );
    await golden.weft.ok(['apply', '-f', await golden.model(MODEL), '--wait'], { timeoutMs: 400_000 });
  }, 1_300_000);
  afterEach(() => mendAllHosts(golden), 180_000);
  afterAll(async () => {
    for (const watchdog of watchdogs) watchdog.unplug();
    await golden?.down();
  }, 60_000);

  const hosts = () => golden.weft.hosts();
  const hostOf = async (name: string) => (await hosts()).find((host) => host.name === name);
  const db = async () => rowOf(await golden.weft.ps('shop'), DB);
  const kindsOf = async (host: string) =>
    (await golden.weft.events()).filter(({ subject }) => subject === host).map(({ kind }) => kind);
  const resets = () => watchdogs.reduce((sum, each) => sum + each.resets, 0);

  /** Writes a word to the disk, lets something happen to the host, and finds the word elsewhere. */
  async function goesOnElsewhere(word: string, happens: (home: string) => Promise<void>) {
    const before = await waitFor('the machine to be ready', db, isReady);
    const home = String(before.host);
    await golden.weft.ok(['ssh', DB, '--', `echo ${word} > /root/word && sync`]);
    await happens(home);
    const fenced = await waitFor(
      'the death to be proven',
      () => hostOf(home),
      (host) => host?.state === 'fenced',
      300_000,
    );
    expect(fenced?.proof).toMatchObject({
      kind: 'lease-expired',
      lease: { leaseMs: 10_000, watchdogTimeoutMs: 10_000 },
    });
    const after = await waitFor(
      'the machine to be ready elsewhere',
      db,
      (row) => isReady(row) && row.host !== home,
      300_000,
    );
    expect(after.incarnation).toBeGreaterThan(before.incarnation);
    expect((await golden.weft.ok(['ssh', DB, '--', 'cat /root/word'])).trim()).toBe(word);
    expect(await golden.weft.ok(['why', DB])).toContain(`${home} was proven dead: its lease ran out`);
    expect(await runningQemus(golden)).toHaveLength(1);
    return home;
  }

  test('stops the machine when it is cut off, is believed to have, and goes on living', async () => {
    const home = await goesOnElsewhere('cut', (host) => golden.lab.cut(host, null));
    expect(resets()).toBe(0);
    await golden.lab.mend(home);
    await waitFor(
      'the host to be back',
      () => hostOf(home),
      (host) => host?.state === 'up',
    );
    // That it lives is no news: only its machines were proven dead.
    expect(await kindsOf(home)).not.toContain('host-undead');
    expect(await runningQemus(golden)).toHaveLength(1);
  });

  test('is reset by its watchdog when it hangs with everything on it', async () => {
    const home = await goesOnElsewhere('hang', (host) => golden.lab.pause(host));
    expect(resets()).toBe(1);
    await golden.lab.powerOn(home);
    await waitFor(
      'the host to be back',
      () => hostOf(home),
      (host) => host?.state === 'up',
    );
    expect(await runningQemus(golden)).toHaveLength(1);
  });

  test('leaves nothing behind on any host, nor in the pool', async () => {
    await golden.weft.ok(['delete', 'shop', '--wait'], { timeoutMs: 180_000 });
    await waitUntilNothingIsLeft(golden);
  });
});
