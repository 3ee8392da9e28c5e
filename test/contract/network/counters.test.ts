import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RuleCounters } from '../../../agent/protocol/index.ts';
import {
  aGuest,
  DEVICE,
  FLEET,
  type Guest,
  gatewayOf,
  HOSTS,
  partOf,
  routerOf,
  underlay6Of,
  underlayOf,
} from './fleet.ts';
import { GATEWAY, Stage } from './stage.ts';

const stage = new Stage();
const [web, beside, db, machine, shut] = [
  aGuest('crm/web', 0, 'h1'),
  aGuest('crm/web', 1, 'h1'),
  aGuest('crm/db', 0, 'h1'),
  aGuest('crm/machines', 0, 'h1'),
  aGuest('crm/machines', 1, 'h1'),
] as const;
const [near, neighbour, far] = [
  aGuest('shop/db', 0, 'h1'),
  aGuest('shop/db', 1, 'h1'),
  aGuest('shop/db', 2, 'h2'),
] as const;
const guests: readonly Guest[] = [web, beside, db, machine, shut, near, neighbour, far];
const ANSWERS_S = 20;
const SILENCE_S = 1.5;
const ANYWHERE = '203.0.113.1';
const LISTED = '203.0.113.2';

const apply = () =>
  Promise.all(HOSTS.map((host) => stage.host(host).router.ask({ do: 'apply', part: partOf(host, guests) })));

interface Asked {
  readonly on?: string;
  readonly pairs: readonly (readonly [from: string, to: string])[];
  readonly port?: number;
}
const counted = ({ on = 'h1', pairs, port = 80 }: Asked) =>
  stage.host(on).router.ask<RuleCounters>({
    ...{ do: 'counters', fleet: FLEET },
    question: { pairs: pairs.map(([from, to]) => ({ from, to })), protocol: 'tcp', port },
  });
const bothOf = (from: Guest, to: Guest) =>
  [
    [from.address, to.address],
    [from.address6, to.address6],
  ] as const;
const connect = (from: Guest | string, address: string, port: number, limit = ANSWERS_S) => {
  const program = typeof from === 'string' ? stage.host(from).programs : stage.guest(from.id);
  return program.ask<boolean[]>({ do: 'connect', targets: [[address, port]], limit });
};
/** How much a counter has grown by what was done. */
async function grown(asked: Asked, work: () => Promise<unknown>) {
  const before = await counted(asked);
  await work();
  const { packets, bytes, ...after } = await counted(asked);
  return { ...after, packets: packets - before.packets, bytes: bytes - before.bytes };
}
const NOTHING = { packets: 0, bytes: 0 };
/** A connection's beginning is one packet, or a few where the machine is slow to answer. */
const SOME = expect.toSatisfy((count: number) => count >= 1 && count < 20);

beforeAll(async () => {
  await stage.open();
  await apply();
  for (const guest of guests) await stage.addGuest(guest);
  await apply();
}, 400_000);
afterAll(() => stage.close());

test('within a mesh beginnings of connections are counted where they are sent and where they come, by guest', async () => {
  const across = bothOf(near, far);
  for (const [on, by] of [
    ['h1', 'mesh-from'],
    ['h2', 'mesh-to'],
  ] as const)
    for (const address of [far.address, far.address6])
      expect(await grown({ on, pairs: across }, () => connect(near, address, 9000))).toMatchObject({
        ...{ rule: 'pass', by, packets: SOME, sinceMs: expect.any(Number) },
      });
  // On one host nothing but a bridge is between them.
  expect(
    await grown({ pairs: bothOf(neighbour, near) }, () => connect(neighbour, near.address, 22)),
  ).toMatchObject({ by: 'mesh-from', packets: SOME });
  expect(await grown({ pairs: bothOf(near, far) }, () => connect(neighbour, far.address, 22))).toMatchObject(
    NOTHING,
  );
});

test('what belongs to a connection within a mesh is not counted, however much there is', async () => {
  await stage.guest(near.id).ask({ do: 'hold', host: far.address, port: 9000, limit: ANSWERS_S });
  for (const on of ['h1', 'h2'])
    expect(
      await grown({ on, pairs: bothOf(near, far) }, () =>
        stage
          .guest(near.id)
          .ask({ do: 'exchange', host: far.address, port: 9000, size: 1_000_000, limit: ANSWERS_S }),
      ),
    ).toMatchObject({ rule: 'pass', ...NOTHING });
});

test('what a guest sends to others of a network without a mesh is counted for that guest, where it is dropped', async () => {
  expect(
    await grown({ pairs: bothOf(web, beside) }, () => connect(web, beside.address, 80, SILENCE_S)),
  ).toMatchObject({
    ...{ rule: 'drop', by: 'apart', packets: expect.toSatisfy((count: number) => count >= 1) },
  });
  // Between machines of one network a router decides.
  expect(await counted({ pairs: bothOf(machine, shut), port: 22 })).not.toHaveProperty('by');
  expect(
    await grown({ pairs: bothOf(machine, shut), port: 80 }, () =>
      connect(machine, shut.address, 80, SILENCE_S),
    ),
  ).toMatchObject({ rule: 'drop', packets: SOME });
});

test('what lets a guest out to the world counts connections’ beginnings, of its network or of the guest itself', async () => {
  const out = (from: Guest, to: string) =>
    grown({ pairs: [[from.address, to]] }, () => connect(from, to, 80));
  const { prefix, ...whole } = await out(web, ANYWHERE);
  expect([prefix, whole]).toEqual([undefined, expect.objectContaining({ rule: 'pass', packets: SOME })]);
  expect(whole.by).toBe('outbound-network');
  expect(await out(db, LISTED)).toMatchObject({
    ...{ rule: 'pass', by: 'outbound-network', prefix: LISTED, packets: SOME },
  });
  expect(await out(machine, ANYWHERE)).toMatchObject({
    ...{ rule: 'pass', by: 'outbound-own', prefix: '203.0.113.0/30', packets: SOME },
  });
  const world6 = '2001:db8:2::1';
  expect(await grown({ pairs: [[web.address6, world6]] }, () => connect(web, world6, 80))).toMatchObject({
    rule: 'pass',
    by: 'outbound-network',
    packets: SOME,
  });
  await stage.guest(web.id).ask({ do: 'hold', host: ANYWHERE, port: 80, limit: ANSWERS_S });
  expect(
    await grown({ pairs: [[web.address, ANYWHERE]] }, () =>
      stage.guest(web.id).ask({ do: 'exchange', host: ANYWHERE, port: 80, size: 100_000, limit: ANSWERS_S }),
    ),
  ).toMatchObject(NOTHING);
});

test('what does not get out to the world is counted by what drops it', async () => {
  const dropped = (from: Guest, to: string) =>
    grown({ pairs: [[to.includes(':') ? from.address6 : from.address, to]] }, () =>
      connect(from, to, 80, SILENCE_S),
    );
  for (const [from, to, by] of [
    [db, ANYWHERE, 'outbound'],
    [shut, LISTED, 'outbound'],
    [web, GATEWAY, 'guarded'],
    [web, DEVICE, 'never'],
    [web, underlay6Of('h2'), 'never'],
    // The host that it is on.
    [web, underlayOf('h1'), 'host'],
    [web, gatewayOf(web.role), 'host'],
  ] as const)
    expect({ to, ...(await dropped(from, to)) }).toMatchObject({ to, rule: 'drop', by, packets: SOME });
});

test('what a load balancer sends is counted where the guest is, by the address of its router', async () => {
  const edge = routerOf('h3').address;
  const asked = { pairs: [[edge, web.address] as const] };
  expect(await grown(asked, () => connect('h3', web.address, 80))).toMatchObject({
    ...{ rule: 'pass', packets: SOME },
  });
  // More of them may be asked about at once than there are families.
  const many = { pairs: [[routerOf('h2').address, web.address] as const, ...asked.pairs, ...asked.pairs] };
  expect((await counted(many)).packets).toBe(2 * (await counted(asked)).packets);
});

test('what has been counted is no difference that has to be healed, and a change elsewhere leaves it', async () => {
  const router = stage.host('h1').router;
  expect(await router.ask({ do: 'heal' })).toBe(false);
  const ask = async () => {
    const [out, mesh] = [
      await counted({ pairs: [[web.address, ANYWHERE]] }),
      await counted({ pairs: bothOf(near, far) }),
    ];
    return { out, mesh };
  };
  const before = await ask();
  const all = partOf('h1', guests);
  const less = { ...all, router: { ...all.router, outbound: all.router?.outbound.slice(0, 1) } };
  await router.ask({ do: 'apply', part: less });
  const after = await ask();
  expect(after.mesh).toEqual(before.mesh);
  expect(after.out).toMatchObject({ rule: 'pass', ...NOTHING });
  expect(after.out.sinceMs).toBeGreaterThan(before.out.sinceMs ?? 0);
});
