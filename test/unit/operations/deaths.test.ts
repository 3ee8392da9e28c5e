import { beforeEach, describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { HostLink } from '../../../controller/fleet/contract.ts';
import type { FencingRecord, HostRecord } from '../../../controller/model/index.ts';
import { Deaths } from '../../../controller/operations/deaths.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aHost } from '../../support/builders/host.ts';
import { FakeFencer } from '../../support/fakes/fake-fencer.ts';
import { refusal } from '../../support/refusal.ts';

const NOW_MS = 100_000;
const DOWN_MS = 90_000;

let store: MemoryStore;
let links: HostLink[];
let fencer: FakeFencer;
let deaths: Deaths;

beforeEach(() => {
  store = new MemoryStore();
  links = [];
  fencer = new FakeFencer();
  deaths = new Deaths({ store, clock: new VirtualClock(NOW_MS), fencer, fleet: { hosts: () => links } });
});

const putHost = (overrides: Partial<HostRecord>) =>
  store.transact({
    puts: [{ key: 'hosts/h1', value: aHost('h1', {}, { stateSinceMs: DOWN_MS, ...overrides }) }],
  });
const heard = (connected: boolean, lastHeardMs: number) => {
  links = [{ name: 'h1', connected, lastHeardMs, hello: null, report: null, endedBecause: null }];
};
const record = async () => (await store.get('fencing/h1'))?.value as FencingRecord | undefined;

describe('confirm-dead', () => {
  test('of a host that is down: a proof of this death, with who signed', async () => {
    await putHost({ state: 'down' });
    heard(false, DOWN_MS - 4_000);
    await deaths.confirmDead('h1', 'ann');
    expect(await record()).toEqual({
      host: 'h1',
      downSinceMs: DOWN_MS,
      attempts: [],
      tried: 0,
      proof: { kind: 'operator', host: 'h1', atMs: NOW_MS, detail: 'ann signed that it is dead' },
    });
  });

  test('by a token without a label says so', async () => {
    await putHost({ state: 'down' });
    await deaths.confirmDead('h1', '');
    expect((await record())?.proof?.detail).toBe('a token without a label signed that it is dead');
  });

  test('keeps what the devices said of this death, and nothing of an earlier one', async () => {
    const attempts = [{ atMs: 1, ms: 2, device: 'fence_a (1 of 1)', off: false, message: 'no' }];
    await putHost({ state: 'down' });
    await store.transact({
      puts: [
        { key: 'fencing/h1', value: { host: 'h1', downSinceMs: DOWN_MS, attempts, tried: 30, proof: null } },
      ],
    });
    await deaths.confirmDead('h1', 'ann');
    expect(await record()).toMatchObject({ attempts, tried: 30, proof: { kind: 'operator' } });

    const older = { kind: 'operator', host: 'h1', atMs: 1, detail: 'then' };
    await store.transact({
      puts: [{ key: 'fencing/h1', value: { host: 'h1', downSinceMs: 5, attempts, tried: 30, proof: older } }],
    });
    await deaths.confirmDead('h1', 'bob');
    expect(await record()).toMatchObject({
      downSinceMs: DOWN_MS,
      attempts: [],
      tried: 0,
      proof: { detail: 'bob signed that it is dead' },
    });
  });

  test.each(['up', 'suspect'] as const)(
    'is refused while the host is %s: its lease is held',
    async (state) => {
      await putHost({ state });
      heard(state === 'up', NOW_MS - 1_500);
      const error = await refusal(deaths.confirmDead('h1', 'ann'));
      expect(error.code).toBe('conflict');
      expect(error.message).toBe(`host h1 is ${state}: its lease is held, it was heard from 1.5 s ago`);
      expect(error.remedy).toContain('Only a host that is down can be signed for');
      expect(await record()).toBeUndefined();
    },
  );

  test('is refused for a host that is in session again, though nobody has written it down yet', async () => {
    await putHost({ state: 'down' });
    heard(true, NOW_MS);
    const error = await refusal(deaths.confirmDead('h1', 'ann'));
    expect(error.message).toContain(
      'host h1 is in session again: its lease is held, it was heard from 0.0 s ago',
    );
    expect(await record()).toBeUndefined();
  });

  test('is refused for a host that comes back while it is signed', async () => {
    await putHost({ state: 'down' });
    const transact = store.transact.bind(store);
    let raced = 0;
    store.transact = async (transaction) => {
      if (raced++ === 0)
        await transact({ puts: [{ key: 'hosts/h1', value: aHost('h1', {}, { stateSinceMs: NOW_MS }) }] });
      return transact(transaction);
    };
    expect((await refusal(deaths.confirmDead('h1', 'ann'))).message).toContain('host h1 is up');
    expect(await record()).toBeUndefined();
  });

  test('is refused for a host that is joining, is fenced, or is proven already', async () => {
    await putHost({ state: 'joining' });
    expect((await refusal(deaths.confirmDead('h1', 'ann'))).message).toContain('host h1 is joining');
    const proof = { kind: 'fence-device', host: 'h1', atMs: 1, detail: 'fence_a says so' } as const;
    await putHost({ state: 'fenced', proof });
    expect((await refusal(deaths.confirmDead('h1', 'ann'))).message).toBe(
      'host h1 is proven to be dead already: fence_a says so',
    );
    await putHost({ state: 'down' });
    const proven = { host: 'h1', downSinceMs: DOWN_MS, attempts: [], tried: 1, proof };
    await store.transact({ puts: [{ key: 'fencing/h1', value: proven }] });
    expect((await refusal(deaths.confirmDead('h1', 'ann'))).code).toBe('conflict');
    expect((await record())?.proof).toEqual(proof);
    expect((await refusal(deaths.confirmDead('h9', 'ann'))).code).toBe('not-found');
  });
});

describe('fence-test', () => {
  test('asks the devices of the host', async () => {
    const fence = [
      { agent: 'fence_a', options: {} },
      { agent: 'fence_b', options: {} },
    ];
    await store.transact({ puts: [{ key: 'hosts/h1', value: aHost('h1', { fence }) }] });
    fencer.answers.set('fence_b', { ok: false, power: null, message: 'Connection timed out' });
    expect(await deaths.fenceTest('h1')).toEqual([
      { device: 'fence_a (1 of 2)', ok: true, power: 'on', message: 'Status: ON', ms: 1 },
      { device: 'fence_b (2 of 2)', ok: false, power: null, message: 'Connection timed out', ms: 1 },
    ]);
  });

  test('says how to configure one where there is none', async () => {
    await putHost({});
    const error = await refusal(deaths.fenceTest('h1'));
    expect(error.code).toBe('conflict');
    expect(error.message).toBe('host h1 names no fence device');
    expect(error.remedy).toContain('/etc/weft/agent.yaml');
    expect((await refusal(deaths.fenceTest('h9'))).code).toBe('not-found');
  });
});
