import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import { commandsIn, endAll } from '../../support/namespace-processes.ts';
import { waitFor } from '../../support/wait-for.ts';
import { Worker } from './worker.ts';

const LIMIT_MS = 60_000;
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

test('what watches the kernel for an agent ends when the agent is killed', async () => {
  await router.ask({ do: 'watch' });
  const watching = ['nft monitor', 'ip monitor link address route'];
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
