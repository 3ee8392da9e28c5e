import { expect, test } from 'vitest';
import { networkView } from '../../../controller/network/view.ts';
import { whyOf } from '../../../controller/network/why.ts';
import { flowsOf, retiredFlowsAfter } from '../../../controller/reconciler/flows.ts';
import { outboundOfGuest } from '../../../controller/reconciler/outbound.ts';
import { retiredAfter } from '../../../controller/reconciler/retired.ts';
import { ServedWorld } from '../../property/reconciler/served-world.ts';
import { anApplication, aRole, AN_INPUT as HTTP } from '../../support/builders/application.ts';

test('what is not declared any more keeps its world, its database and its mesh until it has drained', () => {
  const world = new ServedWorld(3, { memoryMiB: 4_096 });
  const crm = () => {
    const found = world.planning.records.applications.get('crm');
    if (!found) throw new Error('there is none');
    return found;
  };
  const declare = (web: string, port: number) => {
    const before = world.planning.records.applications.get('crm') ?? null;
    const sql = { type: 'internal', protocol: 'tcp', port: 5_432, targetPort: 5_432, from: [web] } as const;
    const admin = { ...sql, port: 9_000, targetPort: 9_000, from: [] };
    const made = anApplication('crm', {
      roles: {
        [web]: aRole({ instances: 1, mesh: true, endpoints: { http: { ...HTTP, port } } }),
        db: aRole({ instances: 1, endpoints: { sql, admin } }),
      },
      machines: {},
    });
    const retired = retiredAfter(before, made.service);
    world.planning.put('apps/crm', { ...made, ...retired, ...retiredFlowsAfter(before, retired) });
  };
  const flows = () =>
    flowsOf(crm())
      .map(({ id, from, protocol }) => `${id} ${protocol} from ${[...from].sort().join(' ')}`)
      .sort();
  declare('web', 80);
  world.settle();
  world.sessions = () => 1;
  declare('web2', 81);
  world.settle();
  const draining = world.vm('crm/web-0');
  if (!draining) throw new Error('it is gone');
  expect(draining.state).toBe('draining');
  expect(flows()).toEqual([
    'crm/db/admin tcp from crm/web crm/web2',
    'crm/db/sql tcp from crm/web crm/web2',
    'crm/web any from crm/web',
    'crm/web/http tcp from edge',
    'crm/web2 any from crm/web2',
    'crm/web2/http tcp from edge',
  ]);
  expect(outboundOfGuest(crm(), draining)).toBe('all');
  const network = world.snapshot();
  const why = (to: string, port: number) => whyOf({ from: 'crm/web-0', to, port, protocol: 'tcp' }, network);
  expect(why('crm/db', 5_432).rule).toBe('crm/db/sql');
  expect(why('world', 443)).toMatchObject({ allowed: true, rule: 'crm/web outbound' });
  expect(
    networkView('crm', network)?.subnets.map(({ id, mesh, outbound }) => [id, mesh, outbound]),
  ).toContainEqual(['crm/web', true, 'all']);
  // Declared once more meanwhile.
  declare('web3', 82);
  expect(flows()).toContain('crm/db/sql tcp from crm/web crm/web2 crm/web3');
  world.sessions = () => 0;
  world.settle();
  expect(world.vm('crm/web-0')).toBeUndefined();
  expect(crm()).not.toHaveProperty('retiredFlows');
  expect(flows()).toEqual([
    'crm/db/admin tcp from crm/web3',
    'crm/db/sql tcp from crm/web3',
    'crm/web3 any from crm/web3',
    'crm/web3/http tcp from edge',
  ]);
});
