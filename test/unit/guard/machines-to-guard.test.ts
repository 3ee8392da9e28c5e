import { expect, test } from 'vitest';
import { machinesToGuard } from '../../../agent/executor/machines-to-guard.ts';
import { domainName, domainUuid } from '../../../agent/executor/names.ts';
import { aGoal, aMachineGoal, aVmGoal, FLEET } from '../../support/builders/goal.ts';

const SAN = [{ name: 'san', kind: 'shared', path: '/pools/san' }] as const;

test('the guard is told of machines on shared pools, of their folders, and of no other', () => {
  const goal = aGoal([
    aMachineGoal({ pool: 'san' }),
    aMachineGoal({ id: 'crm/log' }),
    aVmGoal({ pool: 'san' }),
  ]);
  expect(machinesToGuard(goal, '/dev/watchdog', SAN)).toEqual({
    fleet: FLEET,
    watchdog: '/dev/watchdog',
    sharedPools: ['/pools/san'],
    machines: [{ name: domainName(FLEET, 'crm/db'), uuid: domainUuid(FLEET, 'crm/db') }],
  });
  expect(machinesToGuard(goal, 'none', [])).toMatchObject({ watchdog: null, machines: [] });
});

test('a pool in Ceph has no folder: the guard is told Ceph’s name of it', () => {
  const access = { conf: '/c', user: 'weft', keyring: '/k' };
  const ceph = [{ name: 'ceph', kind: 'rbd', pool: 'vms', ...access }] as const;
  expect(machinesToGuard(aGoal([aMachineGoal({ pool: 'ceph' })]), 'none', ceph)).toMatchObject({
    sharedPools: ['rbd:vms'],
    machines: [{ name: domainName(FLEET, 'crm/db') }],
  });
});

test('before a goal came nothing is said, so that nothing is forgotten', () => {
  expect(machinesToGuard(null, 'none', SAN)).toBeNull();
});
