import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { Underlay, UnderlayOptions } from '../../../agent/network/underlay.ts';
import { UnderlayWatch } from '../../../agent/wiring/underlay.ts';
import { FLEET } from '../../support/builders/goal.ts';

let folder: string;
let clock: VirtualClock;
/** Name → what the resolver says; null: it does not answer. */
let resolver: Map<string, readonly string[]> | null;
let isUp: boolean;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-underlay-'));
  clock = new VirtualClock(1_000);
  resolver = new Map([
    ['bmc.example', ['203.0.113.9']],
    ['controller.example', ['198.51.100.1']],
  ]);
  isUp = true;
});
afterEach(() => rm(folder, { recursive: true }));

async function lookAt({ devices, addressesOf, controller }: UnderlayOptions): Promise<Underlay> {
  const closed = [...devices, controller().replace(/:.*/, '')].flatMap((name) => addressesOf(name));
  const own = [...(isUp ? ['192.0.2.7'] : []), ...closed];
  const offer = { address: '192.0.2.7', mtu: 1_500, networks: [], own, closed: [] };
  return { offer: isUp ? offer : null, guarded: [], never: own };
}

const file = () => join(folder, 'underlay.json');
const watch = () =>
  new UnderlayWatch({
    ...{ fleet: FLEET, address: null, controller: () => 'controller.example:7701', clock, lookAt },
    ...{ devices: ['bmc.example'], file: file(), log: { warn: () => undefined } as never },
    resolve: async (name) => {
      const found = resolver?.get(name);
      if (!found) throw new Error('EAI_AGAIN');
      return found;
    },
  });
/** Time passes; what is written meanwhile goes to a real file. */
async function until(holds: () => boolean): Promise<void> {
  for (let turns = 0; turns < 50_000 && !holds(); turns++) {
    await clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(holds()).toBe(true);
}
const started = async () => {
  const made = watch();
  await made.start();
  return made;
};

test('a name is asked for again, and what has no answer stays as it was', async () => {
  const made = await started();
  expect(made.latest.never).toEqual(['192.0.2.7', '203.0.113.9', '198.51.100.1']);
  const stop = made.follow(() => undefined);
  resolver = new Map([['bmc.example', ['203.0.113.10']]]);
  await until(() => made.latest.never.includes('203.0.113.10'));
  expect(made.latest.never).toContain('198.51.100.1');
  // Of the device that was at this address until just now.
  expect(made.latest.never).toContain('203.0.113.9');
  resolver = null;
  await until(() => !made.latest.never.includes('203.0.113.9'));
  expect(made.latest.never).toEqual(expect.arrayContaining(['203.0.113.10', '198.51.100.1']));
  stop();
});

test('an agent that begins without a resolver asks until it has an answer, and tells', async () => {
  const answers = resolver;
  resolver = null;
  const made = await started();
  expect(made.latest.never).toEqual(['192.0.2.7']);
  let told = 0;
  const stop = made.follow(() => {
    told += 1;
  });
  await clock.advance(60_000);
  expect(told).toBe(0);
  resolver = answers;
  await until(() => told > 0);
  expect(made.latest.offer?.own).toContain('203.0.113.9');
  stop();
});

test('a resolver that never answers holds up no start', async () => {
  const made = new UnderlayWatch({
    ...{ fleet: FLEET, address: null, controller: () => 'controller.example:7701', clock, lookAt },
    ...{ devices: ['bmc.example'], file: file(), log: { warn: () => undefined } as never },
    resolve: () => new Promise(() => undefined),
  });
  let isStarted = false;
  void made.start().then(() => {
    isStarted = true;
  });
  await until(() => isStarted);
  expect(made.latest.offer?.address).toBe('192.0.2.7');
});

test('the next agent goes on with what was known, for as long as that would have counted', async () => {
  await started();
  expect((await stat(file())).mode & 0o777).toBe(0o600);
  resolver = null;
  isUp = false;
  const next = await started();
  expect(next.latest.offer?.address).toBe('192.0.2.7');
  expect(next.latest.never).toEqual(expect.arrayContaining(['192.0.2.7', '203.0.113.9', '198.51.100.1']));
  const stop = next.follow(() => undefined);
  await until(() => next.latest.offer === null);
  expect([...next.latest.never].sort()).toEqual(['198.51.100.1', '203.0.113.9']);
  stop();
});

test('a file that is damaged is none, and is written anew', async () => {
  await writeFile(file(), '{"names": {"bmc.example": ["; flush ruleset"]}, "underlay"');
  const made = await started();
  expect(made.latest.never).toEqual(['192.0.2.7', '203.0.113.9', '198.51.100.1']);
  expect(JSON.parse(await readFile(file(), 'utf8')).underlay.offer.address).toBe('192.0.2.7');
});
