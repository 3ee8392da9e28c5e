import { expect, test } from 'vitest';
import type { VmRecord } from '../../../controller/model/index.ts';
import { hostsConcerned } from '../../../controller/reconciler/hosts-concerned.ts';
import { WorldCache } from '../../../controller/reconciler/world-cache.ts';
import { AN_INPUT, aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const MACHINE = aVm({ id: 'crm/db', role: null, index: null, kind: 'machine', networkId: 'crm/machines' });

/** Hosts whose goals may change when a machine that is not published is off by its host's word. */
function concernedWhenOff(deleting: boolean): readonly string[] {
  const cache = new WorldCache();
  const application = anApplication(
    'crm',
    { roles: { web: aRole({ endpoints: { http: AN_INPUT } }) }, machines: { db: aMachine() } },
    { deleting },
  );
  const records = {
    'hosts/h1': aHost('h1'),
    'hosts/h2': aHost('h2', { edgeAt: '192.0.2.2' }),
    'apps/crm': application,
    'vms/crm/db': MACHINE,
  };
  cache.load(
    Object.entries(records).map(([key, value]) => ({ key, value, revision: 1 })),
    1,
  );
  const off: VmRecord = { ...MACHINE, state: 'stopped' };
  return [...hostsConcerned(cache.apply([{ key: 'vms/crm/db', value: off, revision: 2 }]), cache)];
}

test('edge hosts are concerned by any VM of an application that is deleted: it is served until the last one has ended', () => {
  expect(concernedWhenOff(true)).toEqual(['h2']);
  expect(concernedWhenOff(false)).toEqual([]);
});
