import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isApart, listAddresses, type PublicAddress } from '../../../controller/model/public-address.ts';
import { isInRange, parsePublicRange } from '../../../controller/model/public-ranges.ts';
import type { ApplicationRecord, VmRecord } from '../../../controller/model/records.ts';
import { Draft } from '../../../controller/reconciler/draft.ts';
import { followPublicAddresses } from '../../../controller/reconciler/rules/public-addresses.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { aVm } from '../../support/builders/vm.ts';
import { PlanningWorld } from './planning-world.ts';

const INPUT = { type: 'input', protocol: 'tcp', port: 22, targetPort: 22, from: [] } as const;
const RANGES = [
  ...['192.0.2.200-192.0.2.201/24', '192.0.2.201-192.0.2.204/24', '198.51.100.7/24'],
  ...['2001:db8::ff-2001:db8::100/64', '2001:db8::100-2001:db8::1ff/64'],
];

const anyStep = fc.record({
  app: fc.constantFrom('a', 'b', 'c'),
  /** Null: it goes at once. */
  declared: fc.option(
    fc.record({
      publishes: fc.boolean(),
      deleting: fc.boolean(),
      machines: fc.dictionary(fc.constantFrom('m', 'n'), fc.boolean(), { maxKeys: 2, noNullPrototype: true }),
    }),
  ),
  /** Machines of it of which something is left. */
  left: fc.subarray(['m', 'n']),
  ranges: fc.option(fc.subarray(RANGES)),
});

const heldBy = ({ public: own, publicMachines = {} }: ApplicationRecord): readonly PublicAddress[] => [
  ...(own ? [own] : []),
  ...Object.values(publicMachines),
];

test('no two have one public address or virtual router, all are of the ranges, and what is settled stays', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 1, maxLength: 12 }), (steps) => {
      const world = new PlanningWorld();
      let ranges: readonly string[] = [];
      const pass = (): number => {
        const snapshot = world.snapshot();
        const draft = new Draft({ ...snapshot, fleet: { ...snapshot.fleet, public: ranges } }, world.nowMs);
        followPublicAddresses(draft);
        const { puts } = draft.writes();
        for (const { key, value } of puts) world.put(key, value);
        return puts.length;
      };
      for (const { app, declared, left, ranges: others } of steps) {
        if (others !== null) ranges = others;
        const before = world.records.applications.get(app);
        if (declared === null) world.records.applications.delete(app);
        else {
          const machines = Object.entries(declared.machines).map(
            ([name, isPublic]) =>
              [name, aMachine({ endpoints: { ssh: INPUT }, ...(isPublic ? { public: true } : {}) })] as const,
          );
          const role = aRole({ endpoints: declared.publishes ? { ssh: INPUT } : {} });
          const service = { roles: { web: role }, machines: Object.fromEntries(machines) };
          world.put(`apps/${app}`, {
            ...before,
            ...anApplication(app, service, { deleting: declared.deleting }),
          });
        }
        for (const machine of ['m', 'n']) {
          const id = `${app}/${machine}`;
          world.records.vms.delete(id);
          const vm: VmRecord = aVm({ ...{ id, app, role: null, index: null, kind: 'machine' } });
          if (left.includes(machine)) world.put(`vms/${id}`, vm);
        }
        const gone = new Map([...world.records.applications].map(([name, record]) => [name, heldBy(record)]));
        // What one gives up, another may want: once more for each that may wait for it.
        let passes = 0;
        while (pass() > 0) expect(++passes).toBeLessThan(10);
        const applications = [...world.records.applications.values()];
        const held = applications.flatMap(heldBy);
        const addresses = held.flatMap(listAddresses);
        expect(new Set(addresses).size).toBe(addresses.length);
        expect(new Set(held.map(({ routerId }) => routerId)).size).toBe(held.length);
        const parsed = ranges.flatMap((text) => parsePublicRange(text) ?? []);
        for (const application of applications) {
          if (application.deleting) {
            expect(heldBy(application)).toEqual(gone.get(application.name));
            continue;
          }
          for (const [machine, address] of Object.entries(application.publicMachines ?? {})) {
            const isLeft = world.records.vms.has(`${application.name}/${machine}`);
            if (!isApart(application, machine)) expect(isLeft).toBe(true);
            else for (const each of listAddresses(address)) expect(isWithin(each)).toBe(true);
          }
          for (const each of listAddresses(application.public)) expect(isWithin(each)).toBe(true);
        }
        function isWithin(address: string): boolean {
          return parsed.some((range) => isInRange(range, address));
        }
      }
    }),
  );
});
