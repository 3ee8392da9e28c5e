import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Clock } from '../../../agent/kit/clock.ts';
import { COUNTS_RULES, type OpenStream } from '../../../agent/protocol/index.ts';
import { countersOf } from '../../../controller/api/rule-counters.ts';
import { verdictText } from '../../../controller/cli/commands/net.ts';
import type { WhyAnswer } from '../../../controller/network/why.ts';
import { aHello } from '../../support/builders/host.ts';

const guest = (id: string, address: string, host: string | null, role: string | null = 'web') => ({
  ...{ id, role, address, address6: `fd00::${address.split('.')[3]}`, host, state: 'ready', name: id },
});
const anAnswer = (over: Partial<WhyAnswer> = {}): WhyAnswer => ({
  ...{ allowed: true, rule: 'crm/db/sql', reason: 'its endpoint crm/db/sql lets crm/web in' },
  question: { from: 'crm/web', to: 'crm/db', port: 5432, protocol: 'tcp' },
  hosts: ['h1', 'h2'],
  from: [guest('crm/web-0', '10.128.0.10', 'h1')],
  to: [guest('crm/db-9', '', null), guest('crm/db-0', '10.128.4.10', 'h2')],
  ...over,
});

/** Time that stands still, or is over at once. */
const aClock = (isOver = false) =>
  ({
    now: () => 0,
    after: (_ms: number, run: () => void) => {
      if (isOver) setImmediate(run);
      return { cancel: () => undefined };
    },
  }) as unknown as Clock;

function aFleet(answers: Readonly<Record<string, () => Promise<string>>>, capabilities = [COUNTS_RULES]) {
  const asked: { host: string; target: OpenStream['target'] }[] = [];
  const fleet = {
    hosts: () =>
      Object.keys(answers).map((name) => ({
        ...{ name, connected: true, lastHeardMs: 1, report: null, endedBecause: null },
        hello: { ...aHello(name), capabilities },
      })),
    openStream: async (host: string, _vmId: string, target: OpenStream['target']) => {
      asked.push({ host, target });
      return Readable.from([Buffer.from((await answers[host]?.()) ?? '')]) as never;
    },
  };
  return { fleet, asked };
}

const COUNTED = { rule: 'pass', packets: 3, bytes: 180, sinceMs: 1_000 } as const;

test('both routers are asked what they have counted, by the addresses of guests that have a place', async () => {
  const { fleet, asked } = aFleet({
    h1: async () => JSON.stringify(COUNTED),
    h2: async () => JSON.stringify({ ...COUNTED, rule: 'drop' }),
  });
  const counters = await countersOf(anAnswer(), fleet, aClock());
  expect(counters).toEqual([
    { host: 'h1', ...COUNTED },
    { host: 'h2', ...COUNTED, rule: 'drop' },
  ]);
  expect(asked[0]?.target).toEqual({
    ...{ kind: 'rule-counters', protocol: 'tcp', port: 5432 },
    pairs: [
      { from: '10.128.0.10', to: '10.128.4.10' },
      { from: 'fd00::10', to: 'fd00::10' },
    ],
  });
  expect(verdictText({ ...anAnswer(), counters })).toContain(
    'counted on h1: 3 packets, 180 bytes let through by it, since 1970-01-01 00:00:01 UTC',
  );
  const one = [{ host: 'h1', ...COUNTED, packets: 1 }];
  expect(verdictText({ ...anAnswer(), counters: one })).toContain('counted on h1: 1 packet, 180 bytes');
});

test('a host that says nothing, or no sense, is told of, and the others are not waited for', async () => {
  const { fleet } = aFleet({ h1: () => new Promise(() => undefined), h2: async () => '{"rule":' });
  const counters = await countersOf(anAnswer(), fleet, aClock(true));
  expect(counters[0]).toEqual({ host: 'h1', problem: 'h1 does not answer within 4 s' });
  expect(counters[1]).toMatchObject({ host: 'h2', problem: expect.any(String) });
  expect(verdictText({ ...anAnswer(), counters })).toContain('counted on h1: not known, h1 does not answer');
});

test('an older agent is not asked', async () => {
  const { fleet, asked } = aFleet({ h1: async () => '', h2: async () => '' }, []);
  const counters = await countersOf(anAnswer(), fleet, aClock());
  expect(counters.map((each) => 'problem' in each && each.problem)).toEqual(
    Array(2).fill('its agent is too old to tell'),
  );
  expect(asked).toEqual([]);
});

test('machines of one network are asked about: they reach each other through a router', async () => {
  const { fleet, asked } = aFleet({ h1: async () => JSON.stringify(COUNTED) });
  const two = {
    from: [guest('two/b', '10.128.8.11', 'h1', null)],
    to: [guest('two/a', '10.128.8.10', 'h1', null)],
  };
  expect(await countersOf(anAnswer(two), fleet, aClock())).toEqual([{ host: 'h1', ...COUNTED }]);
  expect(asked[0]?.target).toMatchObject({ pairs: [{ from: '10.128.8.11', to: '10.128.8.10' }, {}] });
});

test('nobody is asked of the world, of what has no place, or of guests of one role', async () => {
  const { fleet, asked } = aFleet({});
  for (const over of [
    { from: [] },
    { to: [guest('crm/db-9', '', null)] },
    { to: [guest('crm/web-1', '10.128.3.10', 'h1')] },
  ])
    expect(await countersOf(anAnswer(over), fleet, aClock())).toEqual([]);
  expect(asked).toEqual([]);
});
