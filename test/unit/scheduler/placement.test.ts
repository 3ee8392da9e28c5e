import { describe, expect, test } from 'vitest';
import { candidateOf } from '../../../controller/scheduler/candidates.ts';
import type { PlacementRequest } from '../../../controller/scheduler/contract.ts';
import { explain, summarize } from '../../../controller/scheduler/explain.ts';
import { Placer } from '../../../controller/scheduler/placer.ts';
import { aHost, type HostShape } from '../../support/builders/host.ts';

const request = (overrides: Partial<PlacementRequest> = {}): PlacementRequest => ({
  id: 'crm/web-0',
  group: 'crm/web',
  size: { cpus: 1, memoryMiB: 128, diskMiB: 256 },
  pool: 'local',
  poolId: null,
  architecture: 'x86_64',
  only: null,
  avoid: null,
  ...overrides,
});

function placerOf(shapes: Readonly<Record<string, HostShape>>, overrides = {}): Placer {
  const candidates = Object.entries(shapes).map(([name, shape]) =>
    candidateOf(aHost(name, shape, overrides)),
  );
  return new Placer(candidates.filter((candidate) => candidate !== null));
}

const refusalOf = (placer: Placer, wanted: PlacementRequest): string => {
  expect(placer.place(wanted)).toBeNull();
  return summarize(explain(placer, wanted, null, 0));
};

describe('a host is refused, with the figures,', () => {
  test('when it is down or joining', () => {
    expect(refusalOf(placerOf({ h1: {} }, { state: 'down' }), request())).toBe('h1: the host is down');
    expect(refusalOf(placerOf({ h1: {} }, { state: 'joining' }), request())).toBe('h1: the host is joining');
  });

  test('when its pool is in Ceph, and what is to be placed is no machine', () => {
    const pools = [{ name: 'ceph', kind: 'rbd' as const, sizeMiB: 1_000 }];
    const placer = placerOf({ h1: { pools } });
    expect(refusalOf(placer, request({ pool: 'ceph', isMachine: false }))).toContain(
      'takes machines, no instances',
    );
    expect(placer.place(request({ pool: 'ceph', isMachine: true }))).toBe('h1');
  });

  test('when it drains, unless it is asked for by name: its machines live there', () => {
    const placer = placerOf({ h1: {} }, { draining: true });
    expect(refusalOf(placer, request())).toBe('h1: the host is draining');
    expect(placer.place(request({ only: 'h1' }))).toBe('h1');
  });

  test('when its memory is claimed', () => {
    const placer = placerOf({ h1: { memoryMiB: 192 } });
    expect(placer.place(request())).toBe('h1');
    expect(refusalOf(placer, request())).toContain('needs 128 MiB of memory, 64 of 192 MiB free');
  });

  test('when its CPUs times its ratio are claimed', () => {
    const placer = placerOf({ h1: { cpus: 1, cpuRatio: 2 } });
    const wide = request({ size: { cpus: 2, memoryMiB: 64, diskMiB: 1 } });
    expect(placer.place(wide)).toBe('h1');
    expect(refusalOf(placer, wide)).toContain('needs 2 CPU, 0 of 2 free');
  });

  test('when its image is for another architecture', () => {
    expect(refusalOf(placerOf({ h1: { architecture: 'aarch64' } }), request())).toBe(
      'h1: the image is for x86_64, the host is aarch64',
    );
    expect(placerOf({ h1: { architecture: 'aarch64' } }).place(request({ architecture: null }))).toBe('h1');
  });

  test('when its pool has run out of space, unless its disk is there already', () => {
    const placer = placerOf({ h1: {} }, { fullPools: ['local'] });
    expect(refusalOf(placer, request())).toBe('h1: its pool local has run out of space');
    expect(placer.place(request({ only: 'h1' }))).toBe('h1');
    expect(placerOf({ h1: {} }, { fullPools: ['other'] }).place(request())).toBe('h1');
  });

  test('when its pool is not the storage that has the disk, whatever it is called', () => {
    const placer = placerOf({ h1: {}, h2: {} });
    expect(placer.place(request({ apart: { h1: 'apart' } }))).toBe('h2');
    expect(refusalOf(placerOf({ h1: {} }), request({ apart: { h1: 'apart' } }))).toContain(
      'is a copy or another mount',
    );
    expect(refusalOf(placerOf({ h1: {} }), request({ apart: { h1: 'unknown' } }))).toContain(
      'has yet to find what the one that has its disk left',
    );
  });

  test('when others have another storage under its name, of new machines, unless it is asked for by name', () => {
    const odd = { apartPools: { local: { from: ['h2'], isOdd: true } } };
    const placer = placerOf({ h1: {} }, odd);
    const machine = request({ isNewMachine: true });
    expect(refusalOf(placer, machine)).toContain('is not the storage that other hosts have');
    expect(placer.place(request({ ...machine, only: 'h1' }))).toBe('h1');
    expect(placer.place(request())).toBe('h1');
    const main = { apartPools: { local: { from: ['h2'], isOdd: false } } };
    expect(placerOf({ h1: {} }, main).place(machine)).toBe('h1');
  });

  test('when it has no such pool, or the pool is promised away', () => {
    expect(refusalOf(placerOf({ h1: {} }), request({ pool: 'fast' }))).toContain('the host has no pool fast');
    const small = placerOf({ h1: { diskMiB: 10 } });
    expect(refusalOf(small, request())).toContain('needs 256 MiB in pool local');
  });

  test('when another one is asked for, or it is to be left', () => {
    const placer = placerOf({ h1: {}, h2: {} });
    expect(placer.place(request({ only: 'h2' }))).toBe('h2');
    expect(placer.place(request({ avoid: 'h2' }))).toBe('h1');
    expect(refusalOf(placer, request({ only: 'h3' }))).toContain('only h3 was asked for');
  });

  test('for every reason at once, so that mending one does not uncover the next', () => {
    const placer = placerOf({ h1: { memoryMiB: 64, cpus: 1, cpuRatio: 1 } });
    const big = request({ size: { cpus: 8, memoryMiB: 4096, diskMiB: 1 } });
    const text = refusalOf(placer, big);
    expect(text).toContain('8 CPU');
    expect(text).toContain('4096 MiB of memory');
  });
});

describe('of the hosts that accept,', () => {
  test('the fault domain with the fewest of the role wins, level by level', () => {
    const placer = placerOf({
      h1: { faultDomain: 'site/a' },
      h2: { faultDomain: 'site/a' },
      h3: { faultDomain: 'site/b' },
    });
    const first = placer.place(request());
    const second = placer.place(request());
    expect([first, second].includes('h3')).toBe(true);
    expect(first).not.toBe(second);
    // Both racks have one; the third goes to the host that has none, not to the rack that is the emptier in hosts.
    expect(placer.place(request())).toBe('h2');
    expect(placer.place(request())).toBe('h3');
  });

  test('a wider fault domain decides before a host without any', () => {
    const placer = placerOf({ a1: { faultDomain: 'a' }, a2: { faultDomain: 'a' }, b1: { faultDomain: 'b' } });
    placer.add('a1', 'crm/web', { cpus: 1, memoryMiB: 128, diskMiB: 1, pool: 'local' });
    expect(placer.place(request())).toBe('b1');
  });

  test('the emptiest wins between equals, and other roles do not count', () => {
    const placer = placerOf({ h1: {}, h2: {} });
    placer.add('h1', 'crm/other', { cpus: 1, memoryMiB: 2048, diskMiB: 1, pool: 'local' });
    expect(placer.place(request())).toBe('h2');
  });

  test('the reasons say what weighed, chosen host first', () => {
    const placer = placerOf({ h1: {}, h2: { memoryMiB: 64 } });
    const explanation = explain(placer, request(), 'h1', 5);
    expect(explanation.chosen).toBe('h1');
    expect(explanation.hosts[0]).toMatchObject({ host: 'h1', accepted: true });
    expect(explanation.hosts[0]?.reasons.join()).toContain('% full');
    expect(explanation.hosts[1]).toMatchObject({ host: 'h2', accepted: false, score: null });
  });
});

test('a host that has not told what it offers is no candidate', () => {
  expect(candidateOf(aHost('h1', {}, { offer: null }))).toBeNull();
});

describe('a host on which it failed', () => {
  const choose = (failedOn: Readonly<Record<string, number>>) =>
    placerOf({ h1: { memoryMiB: 8192 }, h2: {}, h3: {} }).place(request({ failedOn }));

  test('twice is as good as another, three times comes after all others, and one with fewer before one with more', () => {
    expect(choose({ h1: 2 })).toBe('h1');
    expect(choose({ h1: 3 })).toBe('h2');
    expect(choose({ h1: 3, h2: 3 })).toBe('h3');
    expect(choose({ h1: 6, h2: 6, h3: 5 })).toBe('h3');
  });

  test('is still taken when no other can be, and the reason says so', () => {
    const placer = placerOf({ h1: {}, h2: { memoryMiB: 64 } });
    const wanted = request({ failedOn: { h1: 7 } });
    expect(explain(placer, wanted, 'h1', 0).hosts[0]?.reasons[0]).toBe('it failed 7 times here');
    expect(placer.place(wanted)).toBe('h1');
  });
});
