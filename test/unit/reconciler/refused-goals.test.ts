import { expect, test } from 'vitest';
import type { HostRecord } from '../../../controller/model/index.ts';
import { Draft } from '../../../controller/reconciler/draft.ts';
import { followRefusedGoals } from '../../../controller/reconciler/rules/refused-goals.ts';
import type { World } from '../../../controller/reconciler/world.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHello, aHost } from '../../support/builders/host.ts';

/** What is written and told when `h1`, known to refuse its goal so, says this of it. Undefined: it takes it. */
function followed(known: string | undefined, said: string | undefined, connected = true) {
  const host = aHost('h1', {}, known === undefined ? {} : { refusedGoal: known });
  const none = new Map();
  const world: World = {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    ...{ applications: none, vms: none, claims: none, networks: none, tombstones: none },
    ...{ incarnations: none, fencing: none, backups: none, images: none, listeningSinceMs: 0 },
    hosts: new Map([['h1', host]]),
    live: new Map([
      [
        'h1',
        {
          ...{ connected, endedBecause: null, lastHeardMs: 1, hello: aHello('h1'), acknowledged: null },
          report: {
            ...{ type: 'report', sequence: 1, atMs: 1, bootId: 'boot-1', revisionSeen: 1 },
            ...{ vms: [], blobs: [], strangers: [], leaving: [] },
            ...(said === undefined ? {} : { refusedGoal: { revision: 2, reason: said } }),
          },
        },
      ],
    ]),
  };
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
