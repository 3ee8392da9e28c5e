import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import type { ObservedLinks } from '../../../agent/network/links-observed.ts';
import { commandsIn } from '../../support/namespace-processes.ts';
import { waitFor } from '../../support/wait-for.ts';
import { Worker } from './worker.ts';

const LIMIT_MS = 60_000;
const namespace = `wnk${process.pid}`;
const program = fileURLToPath(new URL('./host.ts', import.meta.url));
let worker: Worker;

const ip = (...args: readonly string[]) =>
  exec('ip', ['-netns', namespace, ...args], { timeoutMs: LIMIT_MS });
const look = (): Promise<ObservedLinks> => worker.ask({ do: 'look' });
/** The device by which each address is reached. */
const ways = ({ routes }: ObservedLinks) => routes.map(({ to, device }) => `${to} ${device}`).sort();

/** Pids of the programs that are asked, by what each is. */
async function standing(): Promise<ReadonlyMap<string, number>> {
  const asked = [...(await commandsIn(namespace))].filter(([, line]) => /^(ip|bridge) .*-batch/.test(line));
  return new Map(asked.map(([pid, line]) => [line, pid]));
}

async function link(device: string, address: string, address6: string): Promise<void> {
  await ip('link', 'add', device, 'type', 'veth', 'peer', 'name', `far-${device}`);
  for (const end of [device, `far-${device}`]) await ip('link', 'set', end, 'up');
  await ip('address', 'add', `${address}.1/24`, 'dev', device);
  await ip('route', 'add', `${address}.200`, 'via', `${address}.9`, 'dev', device);
  await ip('-6', 'address', 'add', `${address6}::1/64`, 'dev', device, 'nodad');
  await ip('-6', 'route', 'add', `${address6}::200`, 'via', `${address6}::9`, 'dev', device);
}

beforeAll(async () => {
  await exec('ip', ['netns', 'add', namespace], { timeoutMs: LIMIT_MS });
  await ip('link', 'set', 'lo', 'up');
  await link('wan0', '192.0.2', 'fd00:2');
  worker = new Worker(namespace, [process.execPath, '--import', 'tsx', program]);
  await worker.ready;
});
afterAll(async () => {
  await worker?.end();
  await exec('ip', ['netns', 'delete', namespace], { timeoutMs: LIMIT_MS, okExitCodes: [0, 1] });
});

test('the same programs tell of what has come since they were begun', async () => {
  expect(ways(await look())).toEqual(['192.0.2.200 wan0', 'fd00:2::200 wan0']);
  const before = await standing();
  expect(before.size).toBe(3);
  await link('wan1', '198.51.100', 'fd00:3');
  expect(ways(await look())).toEqual([
    ...['192.0.2.200 wan0', '198.51.100.200 wan1'],
    ...['fd00:2::200 wan0', 'fd00:3::200 wan1'],
  ]);
  expect(await standing()).toEqual(before);
});

test('a device that is called otherwise is told by its new name, and one that has gone not at all', async () => {
  await ip('link', 'set', 'wan1', 'down');
  await ip('link', 'set', 'wan1', 'name', 'lan1');
  await ip('link', 'set', 'lan1', 'up');
  await ip('route', 'add', '198.51.100.200', 'via', '198.51.100.9', 'dev', 'lan1');
  expect(ways(await look())).toEqual(['192.0.2.200 wan0', '198.51.100.200 lan1', 'fd00:2::200 wan0']);
  await ip('link', 'delete', 'lan1');
  const { links, routes } = await look();
  expect(links.map(({ ifname }) => ifname).sort()).toEqual(['far-wan0', 'lo', 'wan0']);
  expect(routes.map(({ device }) => device)).toEqual(['wan0', 'wan0']);
});

test('they are begun anew when somebody kills them, and end with who asks them', async () => {
  const before = await standing();
  for (const pid of before.values()) process.kill(pid, 'SIGKILL');
  const told = ['192.0.2.200 wan0', 'fd00:2::200 wan0'];
  expect(ways(await look())).toEqual(told);
  expect(ways(await look())).toEqual(told);
  const after = await standing();
  expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
  expect(new Set([...after.values(), ...before.values()]).size).toBe(6);
  await worker.end();
  const left = await waitFor('all to end', standing, ({ size }) => size === 0, LIMIT_MS, 50);
  expect(left).toEqual(new Map());
});
