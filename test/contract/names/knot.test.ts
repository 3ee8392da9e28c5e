import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../agent/kit/clock.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import { OwnServer } from '../../../agent/kit/own-server.ts';
import { startTicksOf } from '../../../agent/kit/processes.ts';
import { NamesKeeper } from '../../../agent/names/keeper.ts';
import { filesOf, knotServer } from '../../../agent/names/knot-configuration.ts';
import { KnotServer } from '../../../agent/names/knot-server.ts';
import { digestOfNames, type NamesGoal } from '../../../agent/protocol/index.ts';
import { waitFor } from '../../support/wait-for.ts';

const ZONE = 'weft.internal';
const ADDRESS = '127.0.0.1';

let above: string;
let folder: string;
let port: number;
let keeper: NamesKeeper;

/** States that were told of, as they were then. */
let told: ReturnType<NamesKeeper['report']>['names'][];

const aKeeper = () =>
  new NamesKeeper({
    server: new KnotServer(folder, systemClock),
    listen: [{ address: ADDRESS, port }],
    clock: systemClock,
    log: createLogger('test', 'silent'),
    onChange: () => told.push(keeper.report().names),
  });

const aGoal = (records: NamesGoal['records']): NamesGoal => ({ zone: ZONE, ttlSeconds: 5, records });
const WEB_0 = { name: '0.web.crm', type: 'A' as const, data: '10.128.0.10' };
const WEB_1 = { name: '1.web.crm', type: 'A' as const, data: '10.128.0.11' };
const WEB_0_V6 = { name: '0.web.crm', type: 'AAAA' as const, data: 'fd5e:ed00::a' };
const SERVICE = { name: '_sql._tcp.db.crm', type: 'SRV' as const, data: '0 10 5432 0.web.crm' };

const follow = (records: NamesGoal['records']) => keeper.follow({ names: aGoal(records) });
const isServed = () =>
  waitFor(
    'names to be served',
    async () => keeper.report().names,
    (names) => names?.state === 'served',
    60_000,
    20,
  );

function resolver(): Resolver {
  const asks = new Resolver({ timeout: 2_000, tries: 3 });
  asks.setServers([`${ADDRESS}:${port}`]);
  return asks;
}
/** The answer, or the code of the refusal. */
const addressOf = (name: string) =>
  resolver()
    .resolve4(name)
    .catch((error: NodeJS.ErrnoException) => error.code);
const running = () => new OwnServer(knotServer(folder)).find();

beforeEach(async () => {
  above = await mkdtemp(join(tmpdir(), 'weft-names-'));
  // Its user must get to its folder.
  await exec('chmod', ['755', above]);
  folder = join(above, 'names');
  port = await freePort();
  told = [];
  keeper = aKeeper();
});
afterEach(async () => {
  await keeper.close();
  await new KnotServer(folder, systemClock).remove();
  await rm(above, { recursive: true, force: true });
});

test('answers for the records of the goal, and for nothing else', async () => {
  follow([WEB_0, WEB_0_V6, SERVICE]);
  await isServed();
  const asks = resolver();
  expect(await asks.resolve4(`0.web.crm.${ZONE}`)).toEqual(['10.128.0.10']);
  expect(await asks.resolve6(`0.web.crm.${ZONE}`)).toEqual(['fd5e:ed00::a']);
  expect(await asks.resolveSrv(`_sql._tcp.db.crm.${ZONE}`)).toEqual([
    expect.objectContaining({ priority: 0, weight: 10, port: 5432, name: `0.web.crm.${ZONE}` }),
  ]);
  const [ttl] = await asks.resolve4(`0.web.crm.${ZONE}`, { ttl: true });
  expect(ttl?.ttl).toBe(5);
  expect((await asks.resolveSoa(ZONE)).minttl).toBe(5);
  expect(await addressOf(`9.web.crm.${ZONE}`)).toBe('ENOTFOUND');
  expect(await addressOf('debian.org')).toBe('EREFUSED');
});

test('answers with as many instances as an endpoint may have in the zone, however long their names', async () => {
  const owner = ['w', 'r', 'a'].map((letter) => letter.repeat(60)).join('.');
  const names = Array.from({ length: 200 }, (_none, index) => `${String(index).padStart(50, 'i')}.${owner}`);
  follow([
    ...names.map((name) => ({ name, type: 'A' as const, data: '10.128.0.10' })),
    ...names.map((name) => ({ name: `_sql._tcp.${owner}`, type: 'SRV' as const, data: `0 10 5432 ${name}` })),
  ]);
  await isServed();
  const question = ['-t', 'SRV', `_sql._tcp.${owner}.${ZONE}`];
  const { stdout } = await exec('kdig', [`@${ADDRESS}`, '-p', `${port}`, '+tcp', '+short', ...question]);
  expect(stdout.trim().split('\n')).toHaveLength(200);
});

test('serves what changes under a new serial by the same process, and what is gone no longer', async () => {
  follow([WEB_0, WEB_1]);
  await isServed();
  const before = { process: running(), serial: (await resolver().resolveSoa(ZONE)).serial };
  follow([WEB_1, { ...WEB_0, name: '2.web.crm', data: '10.128.0.12' }]);
  await waitFor('the new name', () => addressOf(`2.web.crm.${ZONE}`), Array.isArray, 60_000, 20);
  expect(await addressOf(`0.web.crm.${ZONE}`)).toBe('ENOTFOUND');
  expect(await addressOf(`1.web.crm.${ZONE}`)).toEqual(['10.128.0.11']);
  expect((await resolver().resolveSoa(ZONE)).serial).toBeGreaterThan(before.serial);
  expect(running()).toEqual(before.process);
});

test('tells at once which zone it serves, and only what its server answers with', async () => {
  const [first, second] = [aGoal([WEB_0]), aGoal([WEB_0, WEB_1])];
  for (const goal of [first, second]) {
    keeper.follow({ names: goal });
    const digest = digestOfNames(goal);
    const state = await waitFor(
      'the digest',
      async () => told.find((each) => each?.digest === digest),
      (found) => found !== undefined,
      60_000,
      20,
    );
    expect(state).toMatchObject({ state: 'served', serial: (await resolver().resolveSoa(ZONE)).serial });
  }
  const served = told.flatMap((each) => each?.digest ?? []);
  expect([...new Set(served)]).toEqual([first, second].map(digestOfNames));
});

test('is started anew when it is killed, with the zone that it had', async () => {
  follow([WEB_0]);
  await isServed();
  const before = running();
  process.kill(before?.pid ?? 0, 'SIGKILL');
  await waitFor(
    'another process',
    async () => running(),
    (found) => found !== null && found.startTicks !== before?.startTicks,
    60_000,
    20,
  );
  await waitFor('an answer', () => addressOf(`0.web.crm.${ZONE}`), Array.isArray, 60_000, 50);
});

test('outlives its keeper, and is adopted by the next one as it is', async () => {
  follow([WEB_0]);
  await isServed();
  const before = running();
  await keeper.close();
  expect(await addressOf(`0.web.crm.${ZONE}`)).toEqual(['10.128.0.10']);
  keeper = aKeeper();
  expect(keeper.report().names).toBeUndefined();
  follow([WEB_0]);
  await isServed();
  expect(running()).toEqual(before);
});

test('is adopted by its configuration where its pid file is lost, or names another process', async () => {
  follow([WEB_0]);
  await isServed();
  const before = running();
  await keeper.close();
  await rm(filesOf(folder).pid);
  expect(running()).toEqual(before);
  await writeFile(filesOf(folder).pid, String(process.pid));
  expect(running()).toEqual(before);
  keeper = aKeeper();
  keeper.follow({});
  await waitFor(
    'the end of it',
    async () => running(),
    (found) => found === null,
    60_000,
    20,
  );
  expect(startTicksOf(process.pid)).not.toBeNull();
});

test('a zone that was written and not loaded before a crash is loaded by the next look', async () => {
  follow([WEB_0]);
  await isServed();
  await keeper.close();
  const text = await readFile(filesOf(folder).zone, 'utf8');
  const serial = (await resolver().resolveSoa(ZONE)).serial;
  await writeFile(
    filesOf(folder).zone,
    text.replace(String(serial), String(serial + 7)).replace('10.128.0.10', '10.128.0.11'),
  );
  keeper = aKeeper();
  follow([{ ...WEB_0, data: '10.128.0.11' }]);
  await isServed();
  expect(await addressOf(`0.web.crm.${ZONE}`)).toEqual(['10.128.0.11']);
  expect((await resolver().resolveSoa(ZONE)).serial).toBe(serial + 7);
});

test('says why where another program has its port, and serves when that is gone', async () => {
  const other = createSocket('udp4');
  await new Promise<void>((resolve) => other.bind(port, ADDRESS, resolve));
  follow([WEB_0]);
  const failed = await waitFor(
    'a reason',
    async () => keeper.report().names,
    (names) => names?.state === 'failed',
    60_000,
    20,
  );
  expect(failed?.reason).toContain('address already in use');
  await new Promise<void>((resolve) => other.close(resolve));
  await isServed();
});

test('a record that no zone can have is left out, and said; all others are served', async () => {
  follow([
    WEB_0,
    { name: 'x..y', type: 'A', data: '10.128.0.12' },
    { ...WEB_1, data: '1.2.3.4\n$INCLUDE /etc/passwd' },
  ]);
  await isServed();
  expect(keeper.report().names?.reason).toContain('x..y.weft.internal is no name of DNS');
  expect(keeper.report().names?.reason).toContain('1.web.crm.weft.internal has no A');
  expect(keeper.report().names?.digest).toBe(digestOfNames(aGoal([WEB_0])));
  expect(await addressOf(`0.web.crm.${ZONE}`)).toEqual(['10.128.0.10']);
});

/** Free for UDP and TCP, and not among those that are given out by chance. */
async function freePort(): Promise<number> {
  for (let candidate = 20_000 + (process.pid % 8_000); ; candidate++) {
    const socket = createSocket('udp4');
    const isFree = await new Promise<boolean>((resolve) => {
      socket.once('error', () => resolve(false));
      socket.bind(candidate, ADDRESS, () => resolve(true));
    });
    if (isFree) {
      await new Promise<void>((resolve) => socket.close(resolve));
      return candidate;
    }
  }
}
