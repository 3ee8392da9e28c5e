import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RouterPart } from '../../../agent/network/router-part.ts';
import { waitFor } from '../../support/wait-for.ts';
import { aGuest, FLOWS, partOf } from './fleet.ts';
import { Stage } from './stage.ts';

const ANSWERS_S = 20;
const SILENCE_S = 1.5;

const stage = new Stage();
const [web, db] = [aGuest('crm/web', 0, 'h1'), aGuest('crm/db', 0, 'h1')];
const part = partOf('h1', [web, db]);

const apply = (to: RouterPart) => stage.host('h1').router.ask({ do: 'apply', part: to });
const ask = (from: string, work: string, host: string, port: number, more = {}) =>
  (stage.guests.get(from) ?? stage.host(from).programs).ask({
    do: work,
    host,
    port,
    limit: ANSWERS_S,
    ...more,
  });
/** What the kernel knows of connections. @param filter of `conntrack`. */
const known = (family: 'ipv4' | 'ipv6', ...filter: readonly string[]) =>
  stage.run('h1', ['conntrack', '-L', '-f', family, '-p', 'tcp', ...filter]).then((text) => text.trim());
const untilUnknown = (family: 'ipv4' | 'ipv6', ...filter: readonly string[]) =>
  waitFor(
    `connections ${filter.join(' ')} to be forgotten`,
    () => known(family, ...filter),
    (text) => text === '',
    30_000,
  );

beforeAll(async () => {
  await stage.open(['h1']);
  await apply(part);
  for (const guest of [web, db]) await stage.addGuest(guest);
  await apply(part);
});
afterAll(() => stage.close());

test('connections of a host to its guests live on when all between guests is forgotten, whoever speaks first then', async () => {
  for (const host of [web.address, web.address6]) {
    await ask('h1', 'hold', host, 80);
    expect(await ask('h1', 'exchange', host, 80, { size: 100 })).toBe(true);
  }
  await stage.restart('h1');
  await apply(part);
  await untilUnknown('ipv4', '--dport', '80', '-d', web.address);
  await untilUnknown('ipv6', '--dport', '80', '-d', web.address6);
  const text = 'an answer that took its time';
  await stage.guest(web.id).ask({ do: 'tell', port: 80, text });
  for (const host of [web.address, web.address6])
    expect(await ask('h1', 'hear', host, 80, { size: text.length })).toBe(text);
});

test('a connection ends with its flow also where its server is known as the one that has begun it', async () => {
  await ask(web.id, 'hold', db.address, 5432);
  expect(await ask(web.id, 'exchange', db.address, 5432, { size: 100 })).toBe(true);
  await stage.run('h1', ['conntrack', '-F']);
  await stage.guest(db.id).ask({ do: 'tell', port: 5432, text: 'first' });
  expect(await ask(web.id, 'hear', db.address, 5432, { size: 5 })).toBe('first');
  const turned = ['--sport', '5432', '-s', db.address, '-d', web.address];
  expect(await known('ipv4', ...turned)).not.toBe('');
  await apply(
    partOf(
      'h1',
      [web, db],
      FLOWS.filter(({ id }) => id !== 'crm/db/sql'),
    ),
  );
  await untilUnknown('ipv4', ...turned);
  expect(await ask(web.id, 'exchange', db.address, 5432, { size: 100, limit: SILENCE_S })).toBe(false);
  await apply(part);
});

test('connections to what a subnet is let out to no more end, and others go on', async () => {
  const [closed, open] = [
    ['203.0.113.1', '2001:db8:2::1'],
    ['203.0.113.2', '2001:db8:2::2'],
  ];
  for (const host of [...closed, ...open]) {
    await ask(web.id, 'hold', host, 80);
    expect(await ask(web.id, 'exchange', host, 80, { size: 100 })).toBe(true);
  }
  const allow = open.map((each) => `${each}/${each.includes(':') ? 128 : 32}`);
  if (!part.router) throw new TypeError('it has one');
  const outbound = part.router.outbound.map((each) =>
    each.subnet === 'crm/web' ? { ...each, allow } : each,
  );
  await apply({ ...part, router: { ...part.router, outbound } });
  await untilUnknown('ipv4', '-s', web.address, '-d', '203.0.113.1');
  await untilUnknown('ipv6', '-s', web.address6, '-d', '2001:db8:2::1');
  for (const host of open) expect(await ask(web.id, 'exchange', host, 80, { size: 100 })).toBe(true);
  for (const host of closed)
    expect(await ask(web.id, 'exchange', host, 80, { size: 100, limit: SILENCE_S })).toBe(false);
  await apply(part);
});
