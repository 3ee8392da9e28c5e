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

test('all edge hosts are concerned by one that is emptied, and by one that is gone: who is there decides who gives addresses up', () => {
  const hosts = ['h1', 'h2'].map((name, index) => aHost(name, { edgeAt: `192.0.2.${index + 1}` }));
  const [h1] = hosts;
  if (!h1) throw new TypeError('it is there');
  for (const over of [{ draining: true }, { state: 'down' } as const]) {
    const cache = new WorldCache();
    cache.load(
      hosts.map((value) => ({ key: `hosts/${value.name}`, value, revision: 1 })),
      1,
    );
    const changes = cache.apply([{ key: 'hosts/h1', value: { ...h1, ...over }, revision: 2 }]);
    expect([...hostsConcerned(changes, cache)].sort()).toEqual(['h1', 'h2']);
  }
});
