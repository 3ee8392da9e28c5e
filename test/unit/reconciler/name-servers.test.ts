import { expect, test } from 'vitest';
import type { EdgeReport } from '../../../agent/protocol/index.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { Draft } from '../../../controller/reconciler/draft.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { followNameServers } from '../../../controller/reconciler/rules/name-servers.ts';
import { aHost } from '../../support/builders/host.ts';
import { aWorldOfOne } from '../../support/builders/reporting-host.ts';

type Said = EdgeReport['names'] | null;

function aWorldThatSays(known: HostRecord['nameServer'], names: Said, missing: string[] = []) {
  const edge = names === null ? {} : { edge: { endpoints: [], held: [], missing, ...(names && { names }) } };
  return aWorldOfOne(aHost('h1', {}, known === undefined ? {} : { nameServer: known }), edge, true);
}

/** What is written of `h1`'s name server. */
function followed(...said: Parameters<typeof aWorldThatSays>) {
  const draft = new Draft(aWorldThatSays(...said), 1);
  followNameServers(draft);
  return draft.writes().puts.map(({ value }) => (value as HostRecord).nameServer);
}

const FAILED = { state: 'failed', reason: 'it does not answer' } as const;
const SERVED = { state: 'served', serial: 1 } as const;

test('a name server that does not answer, and one that cannot be, are written down, once', () => {
  expect(followed(undefined, FAILED)).toEqual(['failed']);
  expect(followed('failed', FAILED)).toEqual([]);
  expect(followed(undefined, FAILED, ['knotd', 'knotc'])).toEqual(['absent']);
});

test('and so is that it serves again', () => {
  expect(followed('failed', SERVED)).toEqual([null]);
  expect(followed(undefined, SERVED)).toEqual([]);
});

test('what was said last holds while nothing is said', () => {
  expect(followed('failed', null)).toEqual([]);
  expect(followed('absent', undefined)).toEqual([]);
});

test('a plan writes it', () => {
  const { puts } = plan(aWorldThatSays(undefined, FAILED), 1, DEFAULT_SETTINGS);
  expect(puts.map(({ value }) => (value as HostRecord).nameServer)).toContain('failed');
});
