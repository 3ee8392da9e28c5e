import { expect, test } from 'vitest';
import type { HostRecord } from '../../../controller/model/index.ts';
import { goalOf } from '../../../controller/reconciler/goals.ts';
import { DEFAULT_SETTINGS } from '../../../controller/reconciler/plan.ts';
import { MOST_WAIT_MS } from '../../../controller/reconciler/rules/move-waits.ts';
import { aMachine, PoolStage } from '../../support/pool-stage.ts';

const ID = 'crm/db';
const vmOf = (stage: PoolStage) => stage.vms.get(ID);
const moved = (stage: PoolStage, moveTo: string) =>
  stage.vms.set(ID, aMachine({ ...vmOf(stage), moveTo, moveMode: 'cold' }));

/** Two hosts that share a pool, and have not found each other yet. */
function aStage(): PoolStage {
  const stage = new PoolStage({ h1: 'a', h2: 'not looked yet' });
  stage.vms.set(ID, aMachine());
  stage.pass();
  return stage;
}

test('a machine that is moved before the hosts have found each other waits, says for what, and goes when they have', () => {
  const stage = aStage();
  moved(stage, '*');
  const untilMs = stage.nowMs + MOST_WAIT_MS;
  stage.pass();
  expect(stage.told).toEqual([`vm-move-waits ${ID}`]);
  const reason = 'h2 and h1 have yet to find each other in pool san';
  expect(vmOf(stage)).toMatchObject({ moveTo: '*', moveWait: { untilMs, reason } });
  expect(stage.nextMs).toBeLessThanOrEqual(untilMs);
  stage.pass(1_000);
  expect(stage.told).toEqual([]);
  stage.storageOf.set('h2', 'a');
  stage.pass();
  expect(stage.told).toEqual([`vm-successor ${ID}`]);
  expect(vmOf(stage)).toMatchObject({ moveTo: '*', moveWait: null, successor: { host: 'h2' } });
});

test('it is refused when nobody has found anybody in time', () => {
  const stage = aStage();
  moved(stage, 'h2');
  stage.pass();
  // Nobody looks any more, so that nothing is judged.
  stage.ageMs = 2 * MOST_WAIT_MS;
  stage.pass(MOST_WAIT_MS - 1);
  expect(vmOf(stage)?.moveTo).toBe('h2');
  stage.pass(1);
  expect(stage.told).toContain(`vm-refused ${ID}`);
  expect(vmOf(stage)).toMatchObject({ moveTo: null, moveWait: null, host: 'h1' });
  expect(vmOf(stage)?.successor ?? null).toBeNull();
});

test('nothing is waited for that no time would bring', () => {
  const stage = aStage();
  moved(stage, '*');
  const h2 = stage.hosts.get('h2') as HostRecord;
  stage.hosts.set('h2', { ...h2, draining: true });
  stage.pass();
  expect(stage.told).toContain(`vm-refused ${ID}`);
  expect(stage.told).not.toContain(`vm-move-waits ${ID}`);
  expect(vmOf(stage)?.moveTo).toBeNull();
});

test('a host that has not been heard since the controller began is waited for', () => {
  const stage = new PoolStage({ h1: 'a', h2: 'a' });
  stage.vms.set(ID, aMachine());
  stage.settle();
  stage.unheard.add('h2');
  moved(stage, 'h2');
  stage.listeningSinceMs = stage.nowMs;
  stage.pass();
  expect(vmOf(stage)?.moveWait?.reason).toBe('host h2 has not been heard since the controller began');
  // No more than a silent one has its time.
  stage.pass(DEFAULT_SETTINGS.downAfterMs);
  expect(vmOf(stage)).toMatchObject({ moveTo: null, moveWait: null });
  stage.unheard.clear();
  moved(stage, 'h2');
  stage.pass();
  expect(vmOf(stage)?.successor?.host).toBe('h2');
});

test('who is not found yet is in the goal of the host that is to find it, and no longer than that', () => {
  const stage = aStage();
  const unfound = (host: string) =>
    goalOf(host, [], () => ({}), {
      fleet: { uuid: 'f', epoch: 1, range: '10.128.0.0/10' },
      hosts: stage.hosts,
      ...{ applications: new Map(), networks: new Map(), tombstones: new Map() },
      ...{ vms: new Map(), backups: new Map() },
    }).unfound;
  expect([unfound('h1'), unfound('h2')]).toEqual([{ san: ['h2'] }, { san: ['h1'] }]);
  stage.storageOf.set('h2', 'a');
  stage.pass();
  expect([unfound('h1'), unfound('h2')]).toEqual([undefined, undefined]);
});
