import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PlacedAddresses } from '../../../agent/edge/placed-addresses.ts';
import { exec } from '../../../agent/kit/exec.ts';
import type { Underlay } from '../../../agent/network/underlay.ts';
import { FLEET } from './fleet.ts';
import { Worker } from './worker.ts';

const namespace = `wnu${process.pid}`;
const program = fileURLToPath(new URL('./host.ts', import.meta.url));
let folder: string;
const workers: Worker[] = [];

const ip = (...args: readonly string[]) => exec('ip', ['-netns', namespace, ...args]);
/** An agent's eye on the underlay, begun anew. */
async function anAgent(): Promise<() => Promise<Underlay>> {
  const worker = new Worker(namespace, [process.execPath, '--import', 'tsx', program]);
  workers.push(worker);
  await worker.ready;
  const file = join(folder, 'underlay.json');
  return () => worker.ask({ do: 'underlay', fleet: FLEET, file, controller: '192.0.2.1:7701', edge: folder });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-underlay-'));
  await exec('ip', ['netns', 'add', namespace]);
  await ip('link', 'set', 'lo', 'up');
  for (const [device, address] of [
    ['eth0', '192.0.2.7/24'],
    ['eth1', '10.77.0.1/24'],
  ] as const) {
    await ip('link', 'add', device, 'type', 'veth', 'peer', 'name', `far-${device}`);
    for (const end of [device, `far-${device}`]) await ip('link', 'set', end, 'up');
    await ip('address', 'add', address, 'dev', device);
  }
});
afterAll(async () => {
  for (const worker of workers) await worker.end();
  await exec('ip', ['netns', 'delete', namespace], { okExitCodes: [0, 1] });
  await rm(folder, { recursive: true, force: true });
});

test('an address that is gone for a moment is offered on, also by the next agent, and another one counts at once', async () => {
  const look = await anAgent();
  const first = await look();
  expect(first.offer).toMatchObject({ address: '192.0.2.7', own: ['10.77.0.1', '192.0.2.1', '192.0.2.7'] });
  await ip('address', 'flush', 'dev', 'eth0');
  const gone = await look();
  expect(gone.offer).toEqual(first.offer);
  expect([...gone.never].sort()).toEqual([...first.never].sort());
  const next = await anAgent();
  expect((await next()).offer).toEqual(first.offer);
  await ip('address', 'add', '192.0.2.8/24', 'dev', 'eth0');
  const other = await next();
  expect(other.offer?.address).toBe('192.0.2.8');
  expect(other.never).toEqual(expect.arrayContaining(['192.0.2.7', '192.0.2.8']));
});

test('an address that keepalived has put on a host is not told as its own, neither while it is there nor when it is gone', async () => {
  const look = await anAgent();
  const own = async () => (await look()).offer?.own ?? [];
  const [shared, shared6] = ['192.0.2.200/24', '2001:db8::200/64'];
  const placed = new PlacedAddresses(folder);
  await placed.expect(`    ${shared} dev eth0\n    ${shared6} dev eth0 preferred_lft 0\n`);
  for (const address of [shared, shared6, '192.0.2.201/24'])
    await ip('address', 'add', address, 'dev', 'eth0');
  expect(await own()).toContain('192.0.2.201');
  expect((await own()).filter((each) => each.endsWith('200'))).toEqual([]);
  for (const address of [shared, shared6]) await ip('address', 'delete', address, 'dev', 'eth0');
  await placed.forget();
  expect((await own()).filter((each) => each.endsWith('200'))).toEqual([]);
  // Somebody has put it there by hand.
  await ip('address', 'add', shared, 'dev', 'eth0');
  expect(await own()).toContain('192.0.2.200');
});
