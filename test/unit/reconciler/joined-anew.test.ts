import { expect, test } from 'vitest';
import type { Successor } from '../../../controller/model/records.ts';
import { hostsConcerned } from '../../../controller/reconciler/hosts-concerned.ts';
import { WorldCache } from '../../../controller/reconciler/world-cache.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

test('a host that has joined anew concerns the one that a machine comes to it from: certificates of before count no more', () => {
  const cache = new WorldCache();
  const host = aHost('h2');
  const live = { state: 'moving', sinceMs: 0, files: null } as unknown as Successor['live'];
  const successor = { host: 'h2', incarnation: 2, live } as Successor;
  const machine = aVm({ id: 'crm/db', role: null, kind: 'machine', host: 'h1', successor });
  cache.apply([
    { revision: 1, key: 'hosts/h2', value: host },
    { revision: 1, key: 'vms/crm/db', value: machine },
  ]);
  const concernedBy = (value: unknown, revision: number) =>
    [...hostsConcerned(cache.apply([{ revision, key: 'hosts/h2', value }]), cache)].sort();
  expect(concernedBy({ ...host, evidence: 'heard' }, 2)).toEqual([]);
  expect(concernedBy({ ...host, joinedAtMs: host.joinedAtMs + 1 }, 3)).toEqual(['h1', 'h2']);
});
