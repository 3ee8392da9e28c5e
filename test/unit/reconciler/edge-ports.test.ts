import { expect, test } from 'vitest';
import { edgeGoal } from '../../../agent/protocol/network.ts';
import type { Endpoint, HostRecord } from '../../../controller/model/index.ts';
import { endpointsOfVm } from '../../../controller/reconciler/edge-endpoints.ts';
import { edgeGoalOf } from '../../../controller/reconciler/edge-goals.ts';
import { anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const underlay = { address: '192.0.2.1', mtu: 1_500, networks: [] };

function anEdge(): HostRecord {
  const host = aHost('h1');
  if (!host.offer) throw new Error('it offers nothing');
  return { ...host, offer: { ...host.offer, edge: true, underlay } };
}

test('an instance that goes is not published beyond the last port, and no edge host’s goal is spoiled by it', () => {
  const play: Endpoint = { type: 'instance', protocol: 'tcp', port: 65_530, targetPort: 9_000, from: [] };
  const application = anApplication('crm', { roles: { web: aRole({ instances: 5, endpoints: { play } }) } });
  const vms = [4, 5, 6, 99].map((index) =>
    aVm({ id: `crm/web-${index}`, app: 'crm', role: 'web', index, state: 'draining' }),
  );
  const goal = edgeGoalOf('h1', {
    applications: new Map([['crm', application]]),
    hosts: new Map([['h1', anEdge()]]),
    vms: new Map(vms.map((vm) => [vm.id, vm])),
  });
  expect(goal?.endpoints.map(({ id, port }) => `${id} ${port}`)).toEqual([
    'crm/web/play/4 65534',
    'crm/web/play/5 65535',
  ]);
  expect(edgeGoal.safeParse(goal).success).toBe(true);
  expect(vms.map((vm) => endpointsOfVm(application, vm).length)).toEqual([1, 1, 0, 0]);
});
