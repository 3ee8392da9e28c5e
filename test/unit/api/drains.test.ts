import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { ApiContext } from '../../../controller/api/context.ts';
import { type Api, createApi } from '../../../controller/api/server.ts';
import { Tokens } from '../../../controller/fleet/tokens.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { Hosts } from '../../../controller/operations/hosts.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

let api: Api;
let store: MemoryStore;

beforeEach(async () => {
  store = new MemoryStore();
  const tokens = new Tokens(store);
  await tokens.addApi('secret-1', 'ann', 0);
  const clock = new VirtualClock(7_000);
  const fleet = { hosts: () => [], forget: async () => undefined };
  const operations = new Hosts({ store, fleet, clock });
  const log = createLogger('api', 'silent');
  api = await createApi(
    { version: '0', store, tokens, operations, fleet, clock, log } as unknown as ApiContext,
    null,
  );
  const key = (name: string) => ({ key: `hosts/${name}`, value: aHost(name) });
  await store.transact({ puts: [key('h1'), key('h2'), { key: 'vms/crm/web-0', value: aVm() }] });
});
afterEach(() => api.close());

const ask = (method: 'GET' | 'POST' | 'DELETE', url: string, body?: object) =>
  api.inject({
    method,
    url,
    headers: { authorization: 'Bearer secret-1' },
    ...(body ? { payload: body } : {}),
  });
const host = async (name: string) => (await store.get(`hosts/${name}`))?.value as HostRecord;
const rowOf = async (name: string) => {
  const rows: { name: string }[] = (await ask('GET', '/v1/hosts')).json();
  return rows.find((row) => row.name === name);
};

test('a drain is in the name of who asked, with or without a body, and shows in the host’s state', async () => {
  expect((await ask('POST', '/v1/hosts/h1/drain', { cold: true })).statusCode).toBe(200);
  expect((await host('h1')).drain).toEqual({ atMs: 7_000, by: 'ann', cold: true, live: false, vms: 1 });
  expect((await ask('POST', '/v1/hosts/h2/drain')).statusCode).toBe(200);
  expect((await host('h2')).drain?.cold).toBe(false);
  expect((await ask('POST', '/v1/hosts/h2/drain', { cold: 'yes' })).statusCode).toBe(400);
  expect((await ask('POST', '/v1/hosts/h2/drain', { cold: true, live: true })).statusCode).toBe(400);
  expect((await ask('POST', '/v1/hosts/h2/drain', { live: true })).statusCode).toBe(200);
  expect((await host('h2')).drain).toMatchObject({ cold: false, live: true });
  expect(await rowOf('h1')).toMatchObject({ state: 'draining', mode: 'draining' });
  await store.transact({
    puts: [{ key: 'hosts/h1', value: { ...(await host('h1')), state: 'down', mode: 'maintenance' } }],
  });
  expect(await rowOf('h1')).toMatchObject({ state: 'down, maintenance', mode: 'maintenance' });
  expect((await ask('POST', '/v1/hosts/h1/undrain')).statusCode).toBe(200);
  expect(await host('h1')).toMatchObject({ draining: false, drain: null });
});

test('a host that drains for a roll remembers which boot is to end, and that it has', async () => {
  const roll = { id: '2026-01-02T03:04:05.678Z 0a1b2c3d', hosts: ['h1', 'h2'] };
  const boots = async (bootId: string) =>
    store.transact({ puts: [{ key: 'hosts/h1', value: { ...(await host('h1')), bootId } }] });
  await ask('POST', '/v1/hosts/h1/drain', { roll });
  expect(await rowOf('h1')).toMatchObject({
    roll: { ...roll, bootId: 'boot-1' },
    rolled: null,
    notes: [expect.stringContaining('ann rolls it, begun 2026-01-02T03:04:05')],
  });
  await boots('boot-2');
  // Asked again, by the command that goes on or by a person, it is still the first boot that was to end.
  await ask('POST', '/v1/hosts/h1/drain', { roll });
  await ask('POST', '/v1/hosts/h1/drain');
  expect(await rowOf('h1')).toMatchObject({ roll: { ...roll, bootId: 'boot-1' } });
  await ask('POST', '/v1/hosts/h1/undrain');
  expect(await rowOf('h1')).toMatchObject({ roll: null, rolled: roll, notes: [] });
  // Given up before it was booted anew.
  const next = { ...roll, id: '2026-01-03T00:00:00.000Z ffffffff' };
  await ask('POST', '/v1/hosts/h1/drain', { roll: next });
  await ask('POST', '/v1/hosts/h1/undrain');
  expect(await rowOf('h1')).toMatchObject({ roll: null, rolled: roll });
  expect((await ask('POST', '/v1/hosts/h1/drain', { roll: { id: 'x' } })).statusCode).toBe(400);
});

test('its progress is told, as the API describes it', async () => {
  await ask('POST', '/v1/hosts/h1/drain');
  const response = await ask('GET', '/v1/hosts/h1/drain');
  expect(response.statusCode).toBe(200);
  expect(response.json()).toMatchObject({
    ...{ host: 'h1', state: 'up', total: 1, asked: { by: 'ann', cold: false } },
    left: [{ id: 'crm/web-0', state: 'ready', waitsFor: 'turn' }],
  });
  expect((await ask('GET', '/v1/hosts/h9/drain')).statusCode).toBe(404);
});

test('a host is booted anew, or removed, when nothing is on it', async () => {
  expect((await ask('POST', '/v1/hosts/h2/reboot')).statusCode).toBe(409);
  expect((await ask('DELETE', '/v1/hosts/h2?force=true')).statusCode).toBe(409);
  await store.transact({
    puts: [{ key: 'hosts/h2', value: aHost('h2', {}, { draining: true, mode: 'maintenance' }) }],
  });
  expect((await ask('POST', '/v1/hosts/h2/reboot')).statusCode).toBe(200);
  expect((await host('h2')).rebootOf).toBe('boot-1');
  expect((await ask('DELETE', '/v1/hosts/h2?force=maybe')).statusCode).toBe(400);
  expect((await ask('DELETE', '/v1/hosts/h2')).statusCode).toBe(200);
  expect(await store.get('hosts/h2')).toBe(null);
});
