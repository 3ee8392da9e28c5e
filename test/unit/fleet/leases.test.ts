import { beforeEach, describe, expect, test } from 'vitest';
import type { GuardState } from '../../../agent/protocol/index.ts';
import { Leases } from '../../../controller/fleet/leases.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aHost } from '../../support/builders/host.ts';

const ARMED: GuardState = {
  leaseMs: 30_000,
  running: true,
  watchdog: { armed: true, dependable: true, timeoutMs: 10_000, identity: 'iTCO_wdt' },
};
const UNARMED: GuardState = { leaseMs: 30_000, running: true, watchdog: null };
const current = () => true;

describe('leases', () => {
  let store: MemoryStore;
  let nowMs = 0;
  let leases: Leases;
  const record = async () => (await store.get('hosts/h1'))?.value as HostRecord;
  const put = (overrides: Partial<HostRecord>) =>
    store.transact({ puts: [{ key: 'hosts/h1', value: aHost('h1', {}, overrides) }] });
  beforeEach(async () => {
    store = new MemoryStore();
    nowMs = 1_000_000;
    leases = new Leases({ store, monotonicMs: () => nowMs });
    await put({});
  });

  test('count from the controller’s start when it has granted none: what one before it granted is older', () => {
    nowMs += 7_000;
    expect(leases.ageMs('h1')).toBe(7_000);
  });

  test('count anew with each that is granted', async () => {
    nowMs += 60_000;
    expect(await leases.grant('h1', ARMED, current)).toBe(30_000);
    nowMs += 2_000;
    expect([leases.ageMs('h1'), leases.ageMs('h2')]).toEqual([2_000, 62_000]);
  });

  test('are granted when the store has what the host says of its guard, and not before', async () => {
    await leases.grant('h1', ARMED, current);
    expect((await record()).guard).toEqual(ARMED);
    const transact = store.transact.bind(store);
    store.transact = async () => Promise.reject(new Error('the disk is full'));
    await expect(leases.grant('h1', UNARMED, current)).rejects.toThrow('full');
    expect((await record()).guard).toEqual(ARMED);
    store.transact = transact;
    expect(await leases.grant('h1', UNARMED, current)).toBe(30_000);
    expect((await record()).guard).toEqual(UNARMED);
  });

  test('are granted to hosts that are up or suspect, never to one that may have been given up', async () => {
    for (const [state, granted] of Object.entries({
      up: 30_000,
      suspect: 30_000,
      down: null,
      fenced: null,
    })) {
      await put({ state: state as HostRecord['state'] });
      expect(await leases.grant('h1', ARMED, current)).toBe(granted);
    }
    nowMs += 5_000;
    await put({ state: 'down' });
    await leases.grant('h1', ARMED, current);
    expect(leases.ageMs('h1')).toBe(5_000);
  });

  test('of a session that is over are neither granted nor written down', async () => {
    expect(await leases.grant('h1', ARMED, () => false)).toBeNull();
    expect((await record()).guard).toBeUndefined();
  });

  test('what is said last stays, however the store takes its time', async () => {
    const get = store.get.bind(store);
    let slow = true;
    store.get = async (key) => {
      if (slow) {
        slow = false;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return get(key);
    };
    await Promise.all([leases.note('h1', ARMED, current), leases.note('h1', null, current)]);
    expect((await record()).guard).toBeNull();
  });

  test('a host that says the same again costs no write', async () => {
    await leases.grant('h1', ARMED, current);
    const before = await store.revision();
    await leases.grant('h1', { ...ARMED }, current);
    expect(await store.revision()).toBe(before);
  });

  test('a host that is not in the fleet gets none', async () => {
    expect(await leases.grant('h7', ARMED, current)).toBeNull();
  });
});
