import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import { tableName } from '../../../agent/network/names.ts';
import type { Flow } from '../../../agent/protocol/index.ts';
import { commandsIn, endAll } from '../../support/namespace-processes.ts';
import { waitFor } from '../../support/wait-for.ts';
import { aGuest, FLEET, FLOWS, flowsAnd, partOf } from './fleet.ts';
import { Worker } from './worker.ts';

const LIMIT_MS = 60_000;
const table = tableName(FLEET);
const namespace = `wnm${process.pid}`;
let router: Worker;

/** Programs that run in the namespace, which has nothing to write of: nothing changes in it. */
const programs = async () => [...(await commandsIn(namespace)).values()];

beforeAll(async () => {
  await exec('ip', ['netns', 'add', namespace], { timeoutMs: LIMIT_MS });
  const program = fileURLToPath(new URL('./host.ts', import.meta.url));
  router = new Worker(namespace, [process.execPath, '--import', 'tsx', program, '[]']);
  await router.ready;
});
afterAll(async () => {
  await router?.end();
  await endAll(namespace);
  await exec('ip', ['netns', 'delete', namespace], { timeoutMs: LIMIT_MS, okExitCodes: [0, 1] });
});

test('goes on watching while thousands of elements come and go, and what somebody else deletes is put right', async () => {
  const guests = [aGuest('crm/web', 0, 'h1'), aGuest('crm/db', 0, 'h2')];
  const apply = (flows: readonly Flow[]) => router.ask({ do: 'apply', part: partOf('h1', guests, flows) });
  const nft = async (...words: readonly string[]) =>
    (await exec('ip', ['netns', 'exec', namespace, 'nft', ...words], { timeoutMs: LIMIT_MS })).stdout;
  const monitors = async () =>
    [...(await commandsIn(namespace))].filter(([, line]) => line === 'nft monitor rules').map(([pid]) => pid);
  await apply(FLOWS);
  await router.ask({ do: 'watch' });
  const before = await waitFor('nft to watch', monitors, ({ length }) => length === 1, LIMIT_MS, 50);
  for (const count of [2_000, 0, 2_000]) await apply(flowsAnd(count));
  for (const what of [
    ['delete', 'table', 'inet', table],
    ['flush', 'chain', 'inet', table, 'forward'],
  ]) {
    await nft(...what);
    await waitFor(
      'it to be put right',
      () => nft('list', 'chain', 'inet', table, 'forward').catch(() => ''),
      (chain) => chain.includes('goto from-guest'),
      LIMIT_MS,
      50,
    );
  }
  expect(await monitors()).toEqual(before);
});

test('what watches the kernel for an agent ends when the agent is killed', async () => {
  const watching = ['nft monitor rules', 'ip monitor link address route'];
  await waitFor(
    'both to watch',
    programs,
    (running) => watching.every((each) => running.includes(each)),
    LIMIT_MS,
    50,
  );
  await router.end();
  const left = await waitFor('all to end', programs, (running) => running.length === 0, LIMIT_MS, 50);
  expect(left).toEqual([]);
});
