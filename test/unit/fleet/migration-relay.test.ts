import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { beforeEach, expect, test } from 'vitest';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { OpenStream } from '../../../agent/protocol/index.ts';
import { MigrationRelay } from '../../../controller/fleet/migration-relay.ts';
import type { Successor } from '../../../controller/model/records.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aVm } from '../../support/builders/vm.ts';
import { refusal } from '../../support/refusal.ts';

/** Two ends of a connection: what is written to the one is read from the other. */
function pair(): readonly [near: Duplex, far: Duplex] {
  const end = (other: () => Duplex) =>
    new Duplex({
      read: () => undefined,
      write: (chunk, _encoding, done) => {
        other().push(chunk);
        done();
      },
      final: (done) => {
        other().push(null);
        done();
      },
    });
  const near: Duplex = end(() => far);
  const far: Duplex = end(() => near);
  return [near, far];
}

const NONE = Buffer.alloc(0);
const PATH = '/agent/v1/migrations/crm/db/2/memory';
let store: MemoryStore;
let clock: VirtualClock;
let asked: (Omit<OpenStream, 'type'> & { host: string })[];
let relay: MigrationRelay;

const record = (state: 'preparing' | 'moving' | 'stopping', incarnation = 2) => {
  const live = {
    ...{ state, sinceMs: 0, files: null, reason: null, failed: false, resume: false, goneAtMs: null },
  };
  const successor = { host: 'h2', incarnation, live } as unknown as Successor;
  return { key: 'vms/crm/db', value: aVm({ id: 'crm/db', role: null, kind: 'machine', successor }) };
};

beforeEach(() => {
  store = new MemoryStore();
  clock = new VirtualClock();
  asked = [];
  relay = new MigrationRelay({ store, clock, ask: (host, request) => asked.push({ host, ...request }) });
});

test('a connection is carried to the host that the record names, and closes with either of its ends', async () => {
  await store.transact({ puts: [record('moving')] });
  const [source, near] = pair();
  const [target, far] = pair();
  await relay.accept('h1', PATH, near, NONE);
  expect(asked).toMatchObject([
    { host: 'h2', vmId: 'crm/db', target: { kind: 'migration', incarnation: 2, channel: 'memory' } },
  ]);
  const stream = `/agent/v1/streams/${asked[0]?.streamId}`;
  expect((await refusal(relay.accept('h3', stream, far, NONE))).code).toBe('not-found');
  await relay.accept('h2', stream, far, NONE);
  for (const end of [source, target]) expect(String(await once(end, 'data'))).toContain('101 Switching');
  source.write('pages');
  expect(String(await once(target, 'data'))).toBe('pages');
  target.write('thanks');
  expect(String(await once(source, 'data'))).toBe('thanks');
  far.destroy();
  await once(near, 'close');
});

test('nothing is carried for a machine that is not on its way by its record, from another host, or at another incarnation', async () => {
  const refused = async (host: string, path = PATH) =>
    (await refusal(relay.accept(host, path, pair()[1], NONE))).code;
  expect(await refused('h1')).toBe('forbidden');
  for (const state of ['preparing', 'stopping'] as const) {
    await store.transact({ puts: [record(state)] });
    expect(await refused('h1')).toBe('forbidden');
  }
  await store.transact({ puts: [record('moving', 3)] });
  expect(await refused('h1')).toBe('forbidden');
  await store.transact({ puts: [record('moving')] });
  expect(await refused('h2')).toBe('forbidden');
  expect(await refused('h1', '/agent/v1/migrations/crm/db/2/anything')).toBe('not-found');
  expect(asked).toEqual([]);
});

test('a host that does not dial is not waited for', async () => {
  await store.transact({ puts: [record('moving')] });
  const [source, near] = pair();
  await relay.accept('h1', PATH, near, NONE);
  await clock.advance(20_000);
  expect(String(await once(source, 'data'))).toContain('503');
});
