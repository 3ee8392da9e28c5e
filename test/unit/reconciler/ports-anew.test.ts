import { expect, test } from 'vitest';
import type { Endpoint } from '../../../controller/model/index.ts';
import { retiredAfter } from '../../../controller/reconciler/retired.ts';
import { AN_INPUT, aMachine, anApplication, aRole, aService } from '../../support/builders/application.ts';

const at = (port: number, type: Endpoint['type'] = 'input') => ({
  endpoints: { x: { ...AN_INPUT, type, port } },
});
const before = anApplication('crm', { roles: { old: aRole({ instances: 5, ...at(9_000, 'instance') }) } });
const retired = (service: Parameters<typeof aService>[1], record = before) =>
  Object.keys(retiredAfter(record, aService('crm', { roles: {}, ...service })).retired ?? {});

test('a role that is left out is served on, unless any port of its instances, or its name, is declared anew', () => {
  expect(retired({ roles: { web: aRole(at(9_005)) } })).toEqual(['old']);
  expect(retired({ roles: { web: aRole(at(9_002)) } })).toEqual([]);
  expect(retired({ roles: { web: aRole({ instances: 2, ...at(8_999, 'instance') }) } })).toEqual([]);
  expect(retired({ machines: { old: aMachine(at(80)) } })).toEqual([]);
});

test('what a machine has at an address of its own is in nobody’s way', () => {
  const db = aMachine({ public: true, ...at(9_000) });
  expect(retired({ machines: { db } })).toEqual([]);
  const address = { address: '192.0.2.201', prefix: 24, routerId: 2 };
  expect(retired({ machines: { db } }, { ...before, publicMachines: { db: address } })).toEqual(['old']);
});
