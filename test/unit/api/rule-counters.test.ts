import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Clock } from '../../../agent/kit/clock.ts';
import {
  COUNTS_EVERYWHERE,
  COUNTS_RULES,
  type OpenStream,
  type RuleCounters,
} from '../../../agent/protocol/index.ts';
import { countersOf } from '../../../controller/api/rule-counters.ts';
import { countersText } from '../../../controller/cli/counters-text.ts';
import type { CounterQuestion } from '../../../controller/network/counter-questions.ts';
import { aHello } from '../../support/builders/host.ts';

const PAIRS = [
  { from: '10.128.0.10', to: '10.128.4.10' },
  { from: 'fd00::10', to: 'fd00::10' },
];
const questions = (capability: string = COUNTS_RULES): CounterQuestion[] =>
  ['h1', 'h2'].map((host) => ({ host, vmId: 'crm/db-0', pairs: PAIRS, port: 5432, capability }));

/** Time that stands still, or is over at once. */
const aClock = (isOver = false) =>
  ({
    now: () => 0,
    after: (_ms: number, run: () => void) => {
      if (isOver) setImmediate(run);
      return { cancel: () => undefined };
    },
  }) as unknown as Clock;

function aFleet(
  answers: Readonly<Record<string, () => Promise<string>>>,
  capabilities: string[] = [COUNTS_RULES],
) {
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

test('all routers are asked what they have counted, with what the question says', async () => {
  const { fleet, asked } = aFleet({
    h1: async () => JSON.stringify(COUNTED),
    h2: async () => JSON.stringify({ ...COUNTED, rule: 'drop', by: 'never' }),
  });
  expect(await countersOf(questions(), 'udp', fleet, aClock())).toEqual([
    { host: 'h1', ...COUNTED },
    { host: 'h2', ...COUNTED, rule: 'drop', by: 'never' },
  ]);
  expect(asked.map(({ host }) => host)).toEqual(['h1', 'h2']);
  const target = { kind: 'rule-counters', protocol: 'udp', port: 5432, pairs: PAIRS };
  expect(asked[0]?.target).toEqual(target);
});

test('a host that says nothing, or no sense, is told of, and the others are not waited for', async () => {
  const { fleet } = aFleet({ h1: () => new Promise(() => undefined), h2: async () => '{"rule":' });
  const counters = await countersOf(questions(), 'tcp', fleet, aClock(true));
  expect(counters[0]).toEqual({ host: 'h1', problem: 'h1 does not answer within 4 s' });
  expect(counters[1]).toMatchObject({ host: 'h2', problem: expect.any(String) });
  expect(countersText(counters)).toContain('counted on h1: not known, h1 does not answer');
});

test('an agent that is older than a question is not asked it, and is asked what it knows', async () => {
  const answers = { h1: async () => JSON.stringify(COUNTED), h2: async () => JSON.stringify(COUNTED) };
  for (const [capabilities, wanted, isAsked] of [
    [[], COUNTS_RULES, false],
    [[COUNTS_RULES], COUNTS_EVERYWHERE, false],
    [[COUNTS_RULES], COUNTS_RULES, true],
    [[COUNTS_RULES, COUNTS_EVERYWHERE], COUNTS_EVERYWHERE, true],
  ] as const) {
    const { fleet, asked } = aFleet(answers, [...capabilities]);
    const counters = await countersOf(questions(wanted), 'tcp', fleet, aClock());
    expect(asked).toHaveLength(isAsked ? 2 : 0);
    if (!isAsked)
      expect(counters).toEqual(
        ['h1', 'h2'].map((host) => ({ host, problem: 'its agent is too old to tell' })),
      );
  }
});

test('what is told says what has counted, and of whom', () => {
  const text = (over: Partial<RuleCounters>) => countersText([{ host: 'h1', ...COUNTED, ...over }]);
  const since = 'since 1970-01-01 00:00:01 UTC';
  expect(text({})).toBe(`  counted on h1: 3 packets, 180 bytes let through by it, ${since}\n`);
  expect(text({ packets: 1 })).toContain('counted on h1: 1 packet, 180 bytes');
  expect(text({ by: 'mesh-to' })).toContain('that begin TCP connections within its mesh, to the guest,');
  expect(text({ rule: 'drop', by: 'guarded' })).toContain('networks of their host that are not named,');
  expect(text({ by: 'outbound-own', prefix: '203.0.113.0/24' })).toContain(
    'let out by what the guest may reach (203.0.113.0/24), since',
  );
  expect(text({ rule: 'none', sinceMs: null })).toBe(
    '  counted on h1: nothing, it has no rules for guests\n',
  );
  expect(text({ overPace: 7 })).toContain('counted on h1: 7 connections dropped that the guest began');
  expect(text({ by: 'later' as never })).toContain('let through by it');
});
