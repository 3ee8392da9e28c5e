import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tableName } from '../../../agent/network/names.ts';
import { waitFor } from '../../support/wait-for.ts';
import { aGuest, FLEET, gatewayOf, partOf } from './fleet.ts';
import { Stage } from './stage.ts';

const ANSWERS_S = 20;
const SILENCE_S = 1.5;

const stage = new Stage();
const [web, db] = [aGuest('crm/web', 0, 'h1'), aGuest('crm/db', 0, 'h1')];
const part = partOf('h1', [web, db, aGuest('crm/db', 1, 'h2')]);
let folder = '';
let file = '';

const heal = () => stage.host('h1').router.ask<boolean>({ do: 'heal' });
const connect = (port: number, address: string, limit: number) =>
  stage.guest(web.id).ask<readonly boolean[]>({ do: 'connect', targets: [[address, port]], limit });
/** As if its agent were killed, and another one begins that hears of no controller. */
async function beginAnew(): Promise<void> {
  await stage.restart('h1');
  await stage.host('h1').router.ask({ do: 'keep', fleet: FLEET, file });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-kept-'));
  file = join(folder, 'router.json');
  await stage.open(['h1']);
  const { router } = stage.host('h1');
  await router.ask({ do: 'keep', fleet: FLEET, file });
  await router.ask({ do: 'apply', part });
  for (const guest of [web, db]) await stage.addGuest(guest);
  await router.ask({ do: 'apply', part });
});
afterAll(async () => {
  await stage.close();
  await rm(folder, { recursive: true });
});

test('an agent that begins while its controller is away heals rules, links and neighbours as of the last goal', async () => {
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await beginAnew();
  await stage.run('h1', ['nft', 'flush', 'ruleset']);
  await stage.run('h1', ['ip', 'link', 'delete', 'wxf1ee']);
  expect(await heal()).toBe(true);
  expect(await heal()).toBe(false);
  expect(await connect(5432, db.address, ANSWERS_S)).toEqual([true]);
  expect(await connect(80, db.address, SILENCE_S)).toEqual([false]);
  expect(await stage.run('h1', ['ip', 'neigh', 'show', 'dev', 'wxf1ee', 'nud', 'permanent'])).not.toBe('');
});

test('one that does not know what was wanted leaves rules as they are, and closes what has none to its guests', async () => {
  await writeFile(file, '{"bootId":"this boot","part":{');
  await beginAnew();
  expect(await heal()).toBe(false);
  expect(await connect(5432, db.address, ANSWERS_S)).toEqual([true]);
  for (const command of [
    ['delete', 'table', 'bridge', tableName(FLEET)],
    ['flush', 'ruleset'],
  ]) {
    await stage.run('h1', ['nft', ...command]);
    expect(await heal()).toBe(true);
    expect(await heal()).toBe(false);
    for (const address of [db.address, gatewayOf('crm/web'), '203.0.113.1'])
      expect(await connect(5432, address, SILENCE_S)).toEqual([false]);
  }
  await stage.host('h1').router.ask({ do: 'apply', part });
  expect(await connect(5432, db.address, ANSWERS_S)).toEqual([true]);
});

test('rules are in force also while a disk hangs to which what is wanted is written', async () => {
  const { router } = stage.host('h1');
  await router.ask({ do: 'disk', hangs: true });
  const before = await readFile(file, 'utf8');
  await router.ask({ do: 'apply', part: partOf('h1', [web, db]) });
  expect(await readFile(file, 'utf8')).toBe(before);
  await router.ask({ do: 'disk', hangs: false });
  await waitFor(
    'what is wanted to be written down',
    () => readFile(file, 'utf8'),
    (text) => text !== before,
    ANSWERS_S * 1_000,
  );
});
