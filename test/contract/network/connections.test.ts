import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RuleCounters } from '../../../agent/protocol/index.ts';
import { aGuest, FLEET, type Guest, HOSTS, partOf } from './fleet.ts';
import { Stage } from './stage.ts';

const PER_SECOND = 20;
const MAX = 400;
/** More than a share, and more than a table has room for. */
const MANY = 1_000;
const WORLD = ['203.0.113.1', '2001:db8:2::1'];

/** Of the first host the pace is slow, of the second the table is small. */
const stage = new Stage(null, null, {
  h1: { perSecond: PER_SECOND, max: 1_000_000 },
  h2: { perSecond: 'off', max: MAX },
});
const [hostile, other, second, secondOther, db, api] = [
  aGuest('crm/web', 0, 'h1'),
  aGuest('shop/web', 0, 'h1'),
  aGuest('crm/web', 1, 'h2'),
  aGuest('shop/web', 1, 'h2'),
  aGuest('crm/db', 0, 'h3'),
  aGuest('shop/db', 0, 'h3'),
] as const;
const guests: readonly Guest[] = [hostile, other, second, secondOther, db, api];
const ANSWERS_S = 20;
const SILENCE_S = 1.5;

const reaches = (from: Guest, to: Guest, port: number, limit: number) =>
  stage.guest(from.id).ask<boolean[]>({
    ...{ do: 'connect', limit },
    targets: [to.address, to.address6].map((address) => [address, port]),
  });
const hold = (from: Guest, to: Guest) =>
  stage.guest(from.id).ask({ do: 'hold', host: to.address, port: 5432, limit: ANSWERS_S });
const goesOn = (from: Guest, to: Guest) =>
  stage.guest(from.id).ask({ do: 'exchange', host: to.address, port: 5432, size: 10_000, limit: ANSWERS_S });
const scatter = (from: Guest, host: string) =>
  stage.guest(from.id).ask({ do: 'scatter', host, first: 1_000, count: MANY });
const look = (host: string) =>
  stage
    .host(host)
    .router.ask<{ hasChanged: boolean; seen: { count: number; barred: string[] } }>({ do: 'connections' });

/** In the host's table, begun by these addresses. */
async function connectionsOf(host: string, { address, address6 }: Guest): Promise<number> {
  const lists = await Promise.all(
    [address, address6].map((each) =>
      stage.run(host, ['conntrack', '-L', '-f', each.includes(':') ? 'ipv6' : 'ipv4', '-s', each]),
    ),
  );
  return lists.join('\n').match(/ src=/g)?.length ?? 0;
}

beforeAll(async () => {
  await stage.open();
  const apply = () =>
    Promise.all(
      HOSTS.map((host) => stage.host(host).router.ask({ do: 'apply', part: partOf(host, guests) })),
    );
  await apply();
  for (const guest of guests) await stage.addGuest(guest);
  await apply();
});
afterAll(() => stage.close());

test('a guest that begins connections by the thousand gets its pace of them, by both families together', async () => {
  await hold(hostile, db);
  const fromMs = performance.now();
  for (const address of WORLD) await scatter(hostile, address);
  const found = await connectionsOf('h1', hostile);
  // However long that has taken: what it held before, what may come at once, and what has come since. A connection is listed in both directions.
  const most = 1 + PER_SECOND * (2 + (performance.now() - fromMs) / 1_000);
  expect(found).toBeGreaterThan(PER_SECOND);
  expect(found).toBeLessThanOrEqual(2 * most);
  const counted = await stage.host('h1').router.ask<RuleCounters>({
    ...{ do: 'counters', fleet: FLEET },
    question: { pairs: [{ from: hostile.address, to: db.address }], protocol: 'tcp', port: 5432 },
  });
  expect(counted.overPace).toBeGreaterThanOrEqual(2 * MANY - most);
});

test('what it had goes on, others connect, and no rule is other than it was written', async () => {
  expect(await goesOn(hostile, db)).toBe(true);
  expect(await reaches(other, api, 9000, ANSWERS_S)).toEqual([true, true]);
  expect(await stage.host('h1').router.ask({ do: 'heal' })).toBe(false);
});

test('who crowds a table that is nearly full begins no connection, by neither family, until there is room', async () => {
  await hold(second, db);
  expect(await look('h2')).toMatchObject({ hasChanged: false, seen: { barred: [] } });
  for (const address of WORLD) await scatter(second, address);
  expect(await connectionsOf('h2', second)).toBeGreaterThan(MAX);
  expect(await look('h2')).toMatchObject({ hasChanged: true, seen: { barred: [second.id] } });
  expect(await look('h2')).toMatchObject({ hasChanged: false });
  expect(await reaches(second, db, 5432, SILENCE_S)).toEqual([false, false]);
  expect(await goesOn(second, db)).toBe(true);
  expect(await reaches(secondOther, api, 9000, ANSWERS_S)).toEqual([true, true]);
  expect(await stage.host('h2').router.ask({ do: 'heal' })).toBe(false);

  await stage.run('h2', ['conntrack', '-F']);
  expect(await look('h2')).toMatchObject({ hasChanged: true, seen: { barred: [] } });
  expect(await reaches(second, db, 5432, ANSWERS_S)).toEqual([true, true]);
});
