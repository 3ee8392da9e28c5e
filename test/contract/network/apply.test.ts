import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import { tableName } from '../../../agent/network/names.ts';
import { printBlock, readBlocks } from '../../../agent/network/nft-blocks.ts';
import type { RouterPart } from '../../../agent/network/router-part.ts';
import { composeRuleset } from '../../../agent/network/ruleset.ts';
import { aGuest, FLEET, FLOWS, flowsAnd, type Guest, partOf, ROLES } from './fleet.ts';
import { usualShare } from './usual-share.ts';
import { Worker } from './worker.ts';

const LIMIT_MS = 60_000;
const table = tableName(FLEET);
/** One is changed step by step, in the other each step is written whole. */
const [ours, twin] = [`wna${process.pid}-ours`, `wna${process.pid}-twin`];
/** A flow that no endpoint declares. */
const UNDECLARED = '{ 99 . tcp . 10.200.0.0/22 . 10.201.0.0/22 }';
const guarded = ['192.0.2.0/24', '2001:db8:1::/64'];
let router: Worker;

const guests: readonly Guest[] = ROLES.flatMap((role) =>
  ['h1', 'h2', 'h1', 'h3'].map((host, index) => aGuest(role, index, host)),
);
const part = partOf('h1', guests, flowsAnd(50));

const nft = async (where: string, args: readonly string[], input?: string) =>
  (
    await exec('ip', ['netns', 'exec', where, 'nft', ...args], {
      timeoutMs: LIMIT_MS,
      ...(input === undefined ? {} : { input }),
    })
  ).stdout;
const apply = (to: RouterPart) => router.ask({ do: 'apply', part: to });
const heal = () => router.ask<boolean>({ do: 'heal' });
const tables = () => nft(ours, ['-a', 'list', 'tables']);

/** What a kernel has of the fleet, whatever the order in which it came. */
async function listed(where: string) {
  const texts = await Promise.all(
    ['inet', 'bridge'].map((family) => nft(where, ['--stateless', 'list', 'table', family, table])),
  );
  return Object.fromEntries(
    [...readBlocks(texts.join('\n'))].map(([key, block]) => [key, printBlock(block)]).sort(),
  );
}

async function expectAsWrittenWhole(to: RouterPart): Promise<void> {
  await nft(twin, ['-f', '-'], composeRuleset(to, guarded, [], false, await usualShare()));
  expect(await listed(ours)).toEqual(await listed(twin));
}

beforeAll(async () => {
  for (const namespace of [ours, twin]) await exec('ip', ['netns', 'add', namespace]);
  const program = fileURLToPath(new URL('./host.ts', import.meta.url));
  router = new Worker(ours, [process.execPath, '--import', 'tsx', program, JSON.stringify(guarded)]);
  await router.ready;
});
afterAll(async () => {
  await router?.end();
  for (const namespace of [ours, twin])
    await exec('ip', ['netns', 'delete', namespace], { okExitCodes: [0, 1] });
});

test('what changes step by step is what would have been written whole, in the same tables, and a look finds nothing to do', async () => {
  await apply(part);
  expect(await heal()).toBe(false);
  const handles = await tables();
  const moved = guests.map((guest) => (guest.id === 'crm/web-0' ? { ...guest, host: 'h2' } : guest));
  const steps: readonly RouterPart[] = [
    partOf('h1', guests, flowsAnd(51)),
    partOf('h1', guests, flowsAnd(50, 10_001)),
    partOf('h1', guests, FLOWS),
    partOf('h1', [...guests, aGuest('crm/web', 9, 'h1'), aGuest('shop/db', 9, 'h2')], FLOWS),
    partOf('h1', guests, []),
    partOf('h1', moved, flowsAnd(3)),
    { ...partOf('h1', moved, flowsAnd(3)), router: { subnets: [], flows: [], routes: [], outbound: [] } },
    partOf('h1', moved, flowsAnd(3)),
    part,
  ];
  for (const step of steps) {
    await apply(step);
    await expectAsWrittenWhole(step);
    expect(await heal()).toBe(false);
  }
  expect(await tables()).toBe(handles);
});

test('several changes between two looks are seen as ours', async () => {
  await apply(part);
  expect(await heal()).toBe(false);
  await apply(partOf('h1', guests, flowsAnd(40)));
  await apply(partOf('h1', guests, flowsAnd(45, 10_003)));
  expect(await heal()).toBe(false);
  await expectAsWrittenWhole(partOf('h1', guests, flowsAnd(45, 10_003)));
});

test.each([
  ['all tables', ['flush', 'ruleset']],
  ['one table', ['delete', 'table', 'inet', table]],
  ['all elements of a set', ['flush', 'set', 'inet', table, 'flows4']],
])('a change of an endpoint after somebody deleted %s writes all of it', async (_what, command) => {
  await apply(part);
  await nft(ours, command);
  const next = partOf('h1', guests, flowsAnd(50, 10_001));
  await apply(next);
  await expectAsWrittenWhole(next);
  expect(await heal()).toBe(false);
});

test.each([
  ['lets everything through', ['insert', 'rule', 'inet', table, 'flows', 'accept'], 0],
  ['emptied a chain', ['flush', 'chain', 'inet', table, 'flows'], 0],
  ['let one more in', ['add', 'element', 'inet', table, 'guests4', '{ "eth9" . 192.0.2.9 }'], 0],
  ['let one more in, at a set just written', ['add', 'element', 'inet', table, 'flows4', UNDECLARED], 1],
  ['added a rule to a chain just written', ['add', 'rule', 'inet', table, 'outbound', 'accept'], 1],
  ['added a table of the old kind', ['add', 'table', 'ip', table], 1],
])('somebody %s: the next look puts it right', async (_what, command, isJustWritten) => {
  const [first, second] = [partOf('h1', guests, FLOWS), partOf('h1', guests, flowsAnd(2))];
  // No role reaches the world any more: its chain is another one as well.
  const next = { ...second, ...(second.router && { router: { ...second.router, outbound: [] } }) };
  await apply(isJustWritten ? first : next);
  await heal();
  if (isJustWritten) await apply(next);
  await nft(ours, command);
  expect(await heal()).toBe(true);
  await expectAsWrittenWhole(next);
  expect(await nft(ours, ['list', 'tables'])).not.toContain(`ip ${table}`);
  expect(await heal()).toBe(false);
});
