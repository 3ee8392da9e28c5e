import { afterAll, beforeAll, expect, test } from 'vitest';
import { aGuest, partOf } from './fleet.ts';
import { Stage } from './stage.ts';

const stage = new Stage();
const hosts = ['h1', 'h2'];
const web = aGuest('crm/web', 0, 'h1');
const db = aGuest('crm/db', 0, 'h2');
const meshed = [aGuest('shop/db', 0, 'h1'), aGuest('shop/db', 1, 'h2')] as const;
const guests = [web, db, ...meshed];
const ANSWERS_S = 20;

const turnOff = (host: string) =>
  Promise.all(
    ['all', 'default'].map((which) =>
      stage.run(host, ['sysctl', '-q', '-w', `net.ipv6.conf.${which}.disable_ipv6=1`]),
    ),
  );
const apply = () =>
  Promise.all(hosts.map((host) => stage.host(host).router.ask({ do: 'apply', part: partOf(host, guests) })));
const heal = (host: string) => stage.host(host).router.ask<boolean>({ do: 'heal' });

/** By both families, and in a mesh. */
async function expectAllReached(): Promise<void> {
  const connect = (from: string, targets: readonly (readonly [string, number])[]) =>
    stage.guest(from).ask<boolean[]>({ do: 'connect', targets, limit: ANSWERS_S });
  const [first, second] = meshed;
  expect(
    await Promise.all([
      connect(web.id, [
        [db.address, 5432],
        [db.address6, 5432],
      ]),
      connect(first.id, [
        [second.address, 80],
        [second.address6, 80],
      ]),
    ]),
  ).toEqual([
    [true, true],
    [true, true],
  ]);
}

beforeAll(async () => {
  await stage.open(hosts);
  await Promise.all(hosts.map(turnOff));
  await apply();
  for (const guest of guests) await stage.addGuest(guest);
  await apply();
});
afterAll(() => stage.close());

test('guests of hosts that have IPv6 turned off reach each other by both families; the hosts’ own links stay without', async () => {
  await expectAllReached();
  for (const host of hosts) {
    expect(await heal(host)).toBe(false);
    expect(await stage.run(host, ['ip', '-6', 'address', 'show', 'dev', 'eth0'])).toBe('');
  }
});

test('where somebody turns it off later, the next look puts it on for guests', async () => {
  await turnOff('h1');
  expect(await heal('h1')).toBe(true);
  expect(await heal('h1')).toBe(false);
  await expectAllReached();
});
