import { beforeEach, describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import { MOST_ENDPOINTS } from '../../../agent/protocol/index.ts';
import type { Catalogue } from '../../../controller/catalogue/contract.ts';
import type { ApplicationRecord } from '../../../controller/model/index.ts';
import {
  createOperations,
  type Operations,
  type OperationsOptions,
} from '../../../controller/operations/index.ts';
import { refuseWithoutSubnets } from '../../../controller/operations/subnet-room.ts';
import { flowsOf } from '../../../controller/reconciler/flows.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { aVmGoal, FLEET } from '../../support/builders/goal.ts';
import { aVm } from '../../support/builders/vm.ts';
import { FakeFencer } from '../../support/fakes/fake-fencer.ts';
import { refusal } from '../../support/refusal.ts';

let store: MemoryStore;
let operations: Operations;

beforeEach(() => {
  store = new MemoryStore();
  operations = createOperations(parts());
});

const parts = (): OperationsOptions => ({
  store,
  catalogue: { resolve: async () => ({ goal: aVmGoal().image }) } as unknown as Catalogue,
  clock: new VirtualClock(5_000),
  fleet: { forget: async () => undefined, hosts: () => [] },
  fencer: new FakeFencer(),
});

const model = (name: string, endpoint: string, machine = '') => `
apiVersion: weft/v1
kind: Application
name: ${name}
roles:
  web: {kind: worker, image: "tiny:stable", size: small, instances: 2, endpoints: {own: ${endpoint}}}
${machine}`;
const put = (key: string, value: unknown) => store.transact({ puts: [{ key, value }] });

test('a public port that another application has is refused with the names of both', async () => {
  await operations.apply('crm', model('crm', '{type: instance, port: 7000}'), {});
  const error = await refusal(operations.apply('shop', model('shop', '{type: input, port: 7001}'), {}));
  expect(error.code).toBe('conflict');
  expect(error.message).toBe('shop/web/own wants the public port 7001, which crm/web/own has');
  expect(error.remedy).toContain('crm/web/own has ports 7000 to 7001');
  await operations.apply('shop', model('shop', '{type: input, port: 7002}'), {});
  const scaled = await refusal(operations.scale('crm', 'web', 3));
  expect(scaled.message).toBe('crm/web/own wants the public port 7002, which shop/web/own has');
  await operations.scale('crm', 'web', 1);
});

test('of two applications that want one public port at the same moment one has it', async () => {
  const results = await Promise.allSettled(
    ['crm', 'shop'].map((name) => operations.apply(name, model(name, '{type: input, port: 80}'), {})),
  );
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
});

test('what is applied leaves behind where instances answer that were made before, and what let those in that are not declared any more', async () => {
  const roles = (web: string, port: number) => `
apiVersion: weft/v1
kind: Application
name: crm
roles:
  ${web}: {kind: worker, image: "tiny:stable", size: small, instances: 1, endpoints: {http: {type: input, port: ${port}}}}
  db: {kind: worker, image: "tiny:stable", size: small, instances: 1, endpoints: {sql: {type: internal, port: ${port}, from: [${web}]}}}`;
  await operations.apply('crm', roles('web', 7000), {});
  await operations.apply('crm', roles('other', 7001), {});
  const record = (await store.get('apps/crm'))?.value as ApplicationRecord;
  expect(
    flowsOf(record).map(({ id, from, port }) => `${id} ${port} from ${[...from].sort().join(' ')}`),
  ).toEqual([
    'crm/other/http 7001 from edge',
    'crm/db/sql 7001 from crm/other crm/web',
    'crm/db/sql 7000 from crm/other crm/web',
    'crm/web/http 7000 from edge',
  ]);
});

describe('a public port is still another application’s', () => {
  const known = async (app: string) => (await store.get(`apps/${app}`))?.value as ApplicationRecord;
  const ask = async (port: number) =>
    refusal(operations.apply('shop', model('shop', `{type: input, port: ${port}}`), {}));
  const free = (port: number) => operations.plan('shop', model('shop', `{type: input, port: ${port}}`), {});

  test('while a role that is not declared any more drains', async () => {
    await operations.apply('crm', model('crm', '{type: input, port: 7000}'), {});
    await operations.apply('crm', model('crm', '{type: input, port: 80}').replace('web:', 'other:'), {});
    expect((await known('crm')).retired).toHaveProperty('web');
    const error = await ask(7000);
    expect([error.code, error.message]).toEqual([
      'conflict',
      'shop/web/own wants the public port 7000, which crm/web/own has until its connections have ended',
    ]);
    const { retired: _over, ...rest } = await known('crm');
    await put('apps/crm', rest);
    await free(7000);
  });

  test('while a machine that was deleted drains', async () => {
    const machine =
      'machines: {db: {image: "tiny:stable", size: small, endpoints: {x: {type: input, port: 90}}}}';
    await operations.apply('crm', model('crm', '{type: input, port: 80}', machine), {});
    await put('vms/crm/db', aVm({ id: 'crm/db', role: null, index: null, kind: 'machine' }));
    await operations.deleteMachine('crm/db');
    expect((await ask(90)).message).toContain('which crm/db/x has until its connections have ended');
  });

  test('while an instance with a port of its own drains that is scaled in', async () => {
    await operations.apply('crm', model('crm', '{type: instance, port: 7000}'), {});
    await put('vms/crm/web-1', aVm({ id: 'crm/web-1', index: 1 }));
    await operations.scale('crm', 'web', 1);
    expect((await ask(7001)).message).toContain('which crm/web/own has until');
    await store.transact({ deletes: ['vms/crm/web-1'] });
    await free(7001);
  });
});

test('where applications have addresses of their own, ports are no matter between them', async () => {
  await put('fleet', {
    uuid: FLEET,
    epoch: 1,
    range: '10.128.0.0/10',
    public: ['192.0.2.200-192.0.2.219/24'],
  });
  await operations.apply('crm', model('crm', '{type: input, port: 80}'), {});
  await operations.apply('shop', model('shop', '{type: input, port: 80}'), {});
});

test('scaling does not lead beyond the last port', async () => {
  await operations.apply('crm', model('crm', '{type: instance, port: 65534}'), {});
  expect((await refusal(operations.scale('crm', 'web', 3))).message).toMatch(/needs ports 65534 to 65536/);
});

test('a public machine without public addresses shares the ports of its application', async () => {
  const machine =
    'machines: {db: {image: "tiny:stable", size: small, public: true, endpoints: {x: {type: input, port: 80}}}}';
  const error = await refusal(operations.apply('crm', model('crm', '{type: input, port: 80}', machine), {}));
  expect(error.message).toBe('crm/db/x and crm/web/own both want the public port 80');
});

test('a machine stays on its network', async () => {
  await put('apps/crm', anApplication('crm', { roles: {}, machines: { db: aMachine() } }));
  await put(
    'vms/crm/db',
    aVm({ id: 'crm/db', role: null, index: null, kind: 'machine', networkId: 'crm/machines' }),
  );
  const machine = 'machines: {db: {image: "tiny:stable", size: small, network: back}}';
  const error = await refusal(
    operations.apply('crm', model('crm', '{type: internal, port: 80}', machine), {}),
  );
  expect(error.message).toBe('crm/db is on the network machines, and cannot go to back');
});

test('what edge hosts need for themselves is nobody’s public port, at apply and at plan', async () => {
  const reserved = createOperations({
    ...parts(),
    reservedPorts: [
      [22, 22],
      [7702, 7709],
    ],
  });
  for (const asked of [
    reserved.apply('crm', model('crm', '{type: input, port: 22}'), {}),
    reserved.plan('crm', model('crm', '{type: input, port: 22}'), {}),
  ]) {
    const error = await refusal(asked);
    expect(error.code).toBe('conflict');
    expect(error.message).toBe(
      'crm/web/own wants port 22 at the load balancers, and edge hosts need 22 for themselves',
    );
    expect(error.remedy).toContain('--reserved-ports and what of 22,7702-7709');
  }
  const row = await refusal(reserved.apply('crm', model('crm', '{type: instance, port: 7701}'), {}));
  expect(row.message).toContain('wants ports 7701 to 7702 at the load balancers, and edge hosts need 7702');
  await reserved.apply('crm', model('crm', '{type: internal, port: 22}'), {});
});

test('no more is published than edge hosts tell of, all applications together', async () => {
  const play = { type: 'instance', protocol: 'tcp', port: 10_000, targetPort: 80, from: [] } as const;
  const large = anApplication('large', {
    roles: { web: aRole({ instances: MOST_ENDPOINTS - 3, endpoints: { play } }) },
  });
  await put('apps/large', large);
  await operations.apply('crm', model('crm', '{type: instance, port: 7000}'), {});
  const error = await refusal(operations.apply('shop', model('shop', '{type: instance, port: 8000}'), {}));
  expect(error.code).toBe('no-capacity');
  expect(error.message).toBe(
    'shop publishes 2 endpoints and all other applications 4095: a fleet has at most 4096',
  );
  expect((await refusal(operations.scale('crm', 'web', 4))).code).toBe('no-capacity');
  await operations.scale('crm', 'web', 1);
});

describe('what subnets hold', () => {
  const roles = (instances: Record<string, number>) =>
    Object.fromEntries(Object.entries(instances).map(([role, count]) => [role, aRole({ instances: count })]));
  const text = (name: string, instances: Record<string, number>) => `
apiVersion: weft/v1
kind: Application
name: ${name}
roles:
${Object.entries(instances)
  .map(([role, count]) => `  ${role}: {kind: worker, image: "tiny:stable", size: small, instances: ${count}}`)
  .join('\n')}
`;

  test('a role with more instances than its subnet has addresses for is refused, with both numbers', async () => {
    const message =
      'crm/web would have 1001 instances: its subnet has 1013 addresses, for 1000 and their successors';
    const applied = await refusal(operations.apply('crm', text('crm', { web: 1_001 }), {}));
    expect([applied.code, applied.message]).toEqual(['no-capacity', message]);
    const planned = await refusal(operations.plan('crm', text('crm', { web: 1_001 }), {}));
    expect(planned.message).toBe(message);
    await operations.apply('crm', text('crm', { web: 1_000 }), {});
    const scaled = await refusal(operations.scale('crm', 'web', 1_001));
    expect([scaled.code, scaled.message]).toEqual(['no-capacity', message]);
  });

  test('one that was declared when more were taken is changed, and gets smaller', async () => {
    await put('apps/crm', anApplication('crm', { roles: roles({ web: 1_020 }) }));
    await operations.apply('crm', text('crm', { web: 1_020, db: 1 }), {});
    await operations.scale('crm', 'web', 1_010);
    expect((await refusal(operations.scale('crm', 'web', 1_011))).code).toBe('no-capacity');
  });

  test('no more subnets than the range has, of roles that have instances', async () => {
    await put('fleet', { uuid: FLEET, epoch: 1, range: '10.128.0.0/20' });
    await put('apps/shop', anApplication('shop', { roles: roles({ web: 1 }) }));
    await operations.apply('crm', text('crm', { a: 1, b: 1, c: 0 }), {});
    const message = "crm needs 3 subnets and all other applications 1: the fleet's range 10.128.0.0/20 has 3";
    const scaled = await refusal(operations.scale('crm', 'c', 1));
    expect([scaled.code, scaled.message]).toEqual(['no-capacity', message]);
    const applied = await refusal(operations.apply('crm', text('crm', { a: 1, b: 1, c: 1 }), {}));
    expect(applied.message).toBe(message);
    // What needs no more than before goes on, and a role in place of another one has its subnet.
    await operations.scale('crm', 'a', 3);
    await operations.apply('crm', text('crm', { a: 1, d: 1 }), {});
    await put('apps/shop', { ...anApplication('shop', { roles: roles({ web: 1 }) }), deleting: true });
    await operations.apply('crm', text('crm', { a: 1, d: 1, c: 1 }), {});
  });

  test('machines that are there count, declared or not', async () => {
    await put('fleet', { uuid: FLEET, epoch: 1, range: '10.128.0.0/20' });
    const machine = { role: null, index: null, kind: 'machine' } as const;
    for (const network of ['left', 'other'])
      await put(
        `vms/shop/${network}`,
        aVm({ ...machine, id: `shop/${network}`, app: 'shop', networkId: `shop/${network}` }),
      );
    const error = await refusal(operations.apply('crm', text('crm', { a: 1, b: 1 }), {}));
    expect(error.message).toContain('crm needs 2 subnets and all other applications 2');
  });

  test('a network has no more machines than addresses', async () => {
    const machines = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`m${index}`, aMachine()]));
    const service = (count: number) => anApplication('crm', { machines: machines(count) }).service;
    await expect(refuseWithoutSubnets(store, { vms: new Map() }, service(1_013))).resolves.toBeUndefined();
    await expect(refuseWithoutSubnets(store, { vms: new Map() }, service(1_014))).rejects.toThrow(
      'crm/machines would have 1014 machines: a network has 1013 addresses',
    );
  });
});
