import { expect, test } from 'vitest';
import type { HostRecord } from '../../../controller/model/index.ts';
import { Draft } from '../../../controller/reconciler/draft.ts';
import { followPools } from '../../../controller/reconciler/rules/full-pools.ts';
import { aHost } from '../../support/builders/host.ts';
import { aWorldOfOne } from '../../support/builders/reporting-host.ts';

/** What is written and told when `h1`, known to be full so, says that these pools are. Undefined: its agent has no doctor. */
function followed(known: readonly string[] | undefined, said: string[] | undefined, connected = true) {
  const doctor = said && { atMs: 1, answered: [], count: 0, findings: [], fullPools: said };
  const host = aHost('h1', {}, known === undefined ? {} : { fullPools: known });
  const world = aWorldOfOne(host, doctor ? { doctor } : {}, connected);
  const draft = new Draft(world, 1);
  followPools(draft);
  const { puts, events } = draft.writes();
  return {
    pools: puts.map(({ value }) => (value as HostRecord).fullPools),
    events: events.map(({ kind, data }) => `${kind} ${data?.pool}`),
  };
}

test('a pool that runs out of space is written down and told, once', () => {
  expect(followed(undefined, ['local'])).toEqual({ pools: [['local']], events: ['pool-full local'] });
  expect(followed(['local'], ['local'])).toEqual({ pools: [], events: [] });
});

test('and so is one that has room again', () => {
  expect(followed(['fast', 'local'], ['slow', 'local'])).toEqual({
    pools: [['local', 'slow']],
    events: ['pool-full slow', 'pool-has-room fast'],
  });
});

test('a host that is silent, or says nothing of its pools, changes nothing', () => {
  expect(followed(['local'], [], false)).toEqual({ pools: [], events: [] });
  expect(followed(['local'], undefined)).toEqual({ pools: [], events: [] });
  expect(followed(undefined, [])).toEqual({ pools: [], events: [] });
});
