import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { type GoldenLab, goldenLab } from './golden-lab.ts';
import { isReady, mendAllHosts, rowOf, runningQemus } from './hosts.ts';
import { DB, SHOP } from './shop.ts';
import { waitFor } from './wait-for.ts';
import type { PsRow } from './weft.ts';
import { Writer } from './writer.ts';

export interface ShopHost {
  readonly name: string;
  readonly state: string;
  readonly evidence: string;
  readonly proof: { readonly kind: string; readonly detail: string } | null;
}

/** Two hosts, if no other number is given, with BMCs and a pool that all mount, the shop on them, and what every test of it asks and does. */
export function shopOn(
  name: string,
  options: Pick<Parameters<typeof goldenLab>[1] & object, 'hosts' | 'forgetful' | 'agent'> = {},
) {
  let golden: GoldenLab;
  let writer: Writer | null = null;
  beforeAll(async () => {
    golden = await goldenLab(name, { hosts: 2, shared: ['san'], bmc: true, quickDown: true, ...options });
    await golden.weft.ok(['apply', '-f', await golden.model(SHOP), '--wait'], { timeoutMs: 400_000 });
  }, 1_300_000);
  /** One test's failure is not the next one's. */
  afterEach(async () => {
    writer?.stop();
    await mendAllHosts(golden);
  }, 180_000);
  afterAll(() => golden?.down(), 60_000);

  const db = async () => rowOf(await golden.weft.ps('shop'), DB);
  const hosts = () => golden.weft.hosts();
  const events = () => golden.weft.events();
  const qemusOfDb = async () => (await runningQemus(golden)).filter((line) => line.includes('-shop-db-'));
  const stateOf = (name: string) => async () => (await hosts()).find((host) => host.name === name)?.state;

  const isLeaving = (home: string) => (row: PsRow | null) => row !== null && row.host !== home;

  /** Writes in the guest, lets something happen to its host, and sees it go on elsewhere with all that was acknowledged. */
  async function survives(happens: (host: string) => Promise<void>) {
    const before = await waitFor('the machine to be ready', db, isReady);
    const home = String(before.host);
    writer = new Writer(golden.weft, DB);
    const writing = writer;
    await waitFor(
      'ten acknowledged writes',
      async () => writing.acknowledged,
      (count) => count >= 10,
      60_000,
    );
    const faultMs = Date.now();
    await happens(home);
    const after = await waitFor(
      'the machine to be ready elsewhere',
      // The controller may be on its way back.
      () => db().catch(() => before),
      (row) => isReady(row) && row.host !== home,
    );
    const acknowledged = writing.acknowledged;
    writing.stop();
    expect(after.incarnation).toBeGreaterThan(before.incarnation);
    const log = (await golden.weft.ok(['ssh', DB, '--', 'cat /root/log'])).trim().split('\n').map(Number);
    // Whole and in order, and at least as far as it was acknowledged.
    expect(log.slice(-acknowledged)).toHaveLength(acknowledged);
    expect(log.at(-1)).toBeGreaterThanOrEqual(acknowledged);
    const own = log.slice(log.lastIndexOf(1));
    expect(own).toEqual(own.map((_number, index) => index + 1));
    expect(await qemusOfDb()).toHaveLength(1);
    return { home, after, faultMs };
  }

  async function proofOf(incarnation: number) {
    const restarted = (await events()).filter(
      ({ kind, subject }) => kind === 'machine-restarted' && subject === DB,
    );
    return restarted.find(({ message }) => message.startsWith(`incarnation ${incarnation} on `));
  }

  async function comesBack(home: string): Promise<void> {
    await golden.lab.powerOn(home);
    await waitFor('its old host to be up', stateOf(home), (state) => state === 'up');
    await sleep(3_000);
    // It yields: nothing of the machine runs there, nor is defined there.
    const defined = (await golden.lab.exec(home, ['virsh', 'list', '--all', '--name'])).stdout;
    expect(defined).not.toContain('-shop-db-');
    expect(await qemusOfDb()).toHaveLength(1);
  }

  return {
    get golden() {
      return golden;
    },
    db,
    hosts,
    events,
    qemusOfDb,
    stateOf,
    isLeaving,
    survives,
    proofOf,
    comesBack,
  };
}
