import fc from 'fast-check';
import { expect, test } from 'vitest';
import { candidateOf } from '../../../controller/scheduler/candidates.ts';
import { Placer } from '../../../controller/scheduler/placer.ts';
import { aHost } from '../../support/builders/host.ts';

const shapes = fc.array(
  fc.record({
    cpus: fc.integer({ min: 1, max: 8 }),
    memoryMiB: fc.integer({ min: 64, max: 2048 }),
    faultDomain: fc.constantFrom('', 'a', 'b', 'a/1', 'a/2', 'b/1'),
  }),
  { minLength: 1, maxLength: 6 },
);
const sizes = fc.array(
  fc.record({
    cpus: fc.integer({ min: 1, max: 4 }),
    memoryMiB: fc.integer({ min: 32, max: 512 }),
    role: fc.constantFrom('x', 'y'),
  }),
  { maxLength: 60 },
);

const placerOf = (hosts: readonly { cpus: number; memoryMiB: number; faultDomain: string }[]) =>
  new Placer(
    hosts
      .map((shape, index) => candidateOf(aHost(`h${index}`, { ...shape, cpuRatio: 2 })))
      .filter((candidate) => candidate !== null),
  );

const requestOf = (
  { cpus, memoryMiB, role }: { cpus: number; memoryMiB: number; role: string },
  index: number,
) => ({
  id: `app/${role}-${index}`,
  group: `app/${role}`,
  size: { cpus, memoryMiB, diskMiB: 1 },
  pool: 'local',
  poolId: null,
  architecture: null,
  only: null,
  avoid: null,
});

test('capacity is never over-promised, and what is refused really fits nowhere', () => {
  fc.assert(
    fc.property(shapes, sizes, (hosts, vms) => {
      const placer = placerOf(hosts);
      for (const [index, vm] of vms.entries()) {
        const host = placer.place(requestOf(vm, index));
        for (const load of placer.loads()) {
          expect(load.usedCpus).toBeLessThanOrEqual(load.host.cpus);
          expect(load.usedMemoryMiB).toBeLessThanOrEqual(load.host.memoryMiB);
          const fits =
            load.usedCpus + vm.cpus <= load.host.cpus &&
            load.usedMemoryMiB + vm.memoryMiB <= load.host.memoryMiB;
          if (host === null) expect(fits).toBe(false);
        }
      }
    }),
  );
});

test('what is placed and taken away again leaves no trace', () => {
  fc.assert(
    fc.property(shapes, sizes, (hosts, vms) => {
      const placer = placerOf(hosts);
      const placed = vms.map((vm, index) => ({
        request: requestOf(vm, index),
        host: placer.place(requestOf(vm, index)),
      }));
      for (const { request, host } of placed)
        if (host !== null) placer.remove(host, request.group, { ...request.size, pool: 'local' });
      for (const load of placer.loads()) expect([load.usedCpus, load.usedMemoryMiB]).toEqual([0, 0]);
      expect(placer.counts('app/x').every((count) => count === 0)).toBe(true);
    }),
  );
});

test('equal hosts share a role evenly: no two differ by more than one instance', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 30 }), (hosts, instances) => {
      const placer = placerOf(
        Array.from({ length: hosts }, () => ({ cpus: 32, memoryMiB: 65_536, faultDomain: '' })),
      );
      const counts = new Map<string | null, number>();
      for (let index = 0; index < instances; index++) {
        const host = placer.place(requestOf({ cpus: 1, memoryMiB: 64, role: 'x' }, index));
        counts.set(host, (counts.get(host) ?? 0) + 1);
      }
      const all = Array.from({ length: hosts }, (_, index) => counts.get(`h${index}`) ?? 0);
      expect(Math.max(...all) - Math.min(...all)).toBeLessThanOrEqual(1);
    }),
  );
});
