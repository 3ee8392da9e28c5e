import { expect, test } from 'vitest';
import type { HostRecord } from '../../../controller/model/index.ts';
import { Draft } from '../../../controller/reconciler/draft.ts';
import { followRefusedGoals } from '../../../controller/reconciler/rules/refused-goals.ts';
import { aHost } from '../../support/builders/host.ts';
import { aWorldOfOne } from '../../support/builders/reporting-host.ts';

/** What is written and told when `h1`, known to refuse its goal so, says this of it. Undefined: it takes it. */
function followed(known: string | undefined, said: string | undefined, connected = true) {
  const host = aHost('h1', {}, known === undefined ? {} : { refusedGoal: known });
  const world = aWorldOfOne(
    host,
    said === undefined ? {} : { refusedGoal: { revision: 2, reason: said } },
    connected,
  );
  const draft = new Draft(world, 1);
  followRefusedGoals(draft);
  const { puts, events } = draft.writes();
  return {
    written: puts.map(({ value }) => (value as HostRecord).refusedGoal),
    events: events.map(({ kind }) => kind),
  };
}

test('a goal that an agent cannot take is written down and told, once, and so is that it takes them again', () => {
  expect(followed(undefined, 'port: Too big')).toEqual({
    written: ['port: Too big'],
    events: ['goal-refused'],
  });
  expect(followed('port: Too big', 'port: Too big')).toEqual({ written: [], events: [] });
  expect(followed('port: Too big', undefined)).toEqual({ written: [null], events: ['goal-taken'] });
});
