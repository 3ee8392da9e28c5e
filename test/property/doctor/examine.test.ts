import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { goldenOf } from '../../../agent/disks/rbd/names.ts';
import { examine } from '../../../agent/doctor/examine.ts';
import type { Finding, Repair } from '../../../agent/doctor/findings.ts';
import { neededBlobs } from '../../../agent/doctor/rules/unneeded-blobs.ts';
import type { DoctorWorld, ImageHeader } from '../../../agent/doctor/world.ts';
import type { DomainView } from '../../../agent/hypervisor/driver.ts';
import { BLOBS, digestOf, LIMITS, layerFile, POOL, RUN } from '../../support/builders/doctor-world.ts';
import { aGoal, aMachineGoal, aVmGoal, FLEET } from '../../support/builders/goal.ts';

const NOW = 10_000_000;
const DIGITS = ['a', 'b', 'c', 'd'] as const;
const anId = fc.constantFrom('crm/web-0', 'crm/web-1', 'old/web-0', 'crm/db', 'old/db');
const isMachine = (id: string) => id.endsWith('db');
const anIncarnation = fc.integer({ min: 1, max: 3 });
const aDigit = fc.constantFrom(...DIGITS);
const diskPath = (id: string, incarnation: number) =>
  isMachine(id) ? `${POOL}/machines/${id}/disk.qcow2` : `${POOL}/roles/${id}/${incarnation}.qcow2`;
const seedPath = (id: string, incarnation: number) => `${RUN}/${id}/seed-${incarnation}.iso`;
const aTime = fc.integer({ min: 0, max: NOW });
const anOwner = fc.constantFrom('h1', 'h2', null);
const ownerPath = (id: string, incarnation: number) =>
  isMachine(id) ? `${POOL}/machines/${id}/owner.json` : `${diskPath(id, incarnation)}.owner`;
const halfMadePath = (id: string, incarnation: number) => `${diskPath(id, incarnation)}.0a1b2c3d.tmp`;

const aFile = fc.oneof(
  fc.tuple(anId, anIncarnation).map(([id, of]) => diskPath(id, of)),
  fc.tuple(anId, anIncarnation).map(([id, of]) => seedPath(id, of)),
  fc.tuple(anId, anIncarnation).map(([id, of]) => halfMadePath(id, of)),
  aDigit.map(layerFile),
  fc.constantFrom('/theirs/disk.qcow2', `${BLOBS}/notes.txt`, `${POOL}/theirs.qcow2`),
);
const aHeader: fc.Arbitrary<ImageHeader | null> = fc.option(
  fc.record({
    isQcow2: fc.boolean(),
    backing: fc.option(fc.oneof(aDigit.map(layerFile), aFile)),
    sizeBytes: fc.constantFrom(0, 1_024),
  }),
);

const aDomain: fc.Arbitrary<DomainView> = fc
  .record({
    id: anId,
    incarnation: anIncarnation,
    isOurs: fc.boolean(),
    files: fc.array(aFile, { maxLength: 3 }),
  })
  .map(({ id, incarnation, isOurs, files }) => ({
    name: `${isOurs ? 'weft-5eed' : 'theirs'}-${id.replace('/', '-')}`,
    mark: isOurs
      ? { fleet: FLEET, id, incarnation, kind: isMachine(id) ? 'machine' : 'instance', rebootGeneration: 0 }
      : null,
    ...{ state: 'running', reason: 'booted', overlay: files[0] ?? null, files },
  }));

const aGoalOrNone = fc.option(
  fc.uniqueArray(fc.tuple(anId, anIncarnation, aDigit), { selector: ([id]) => id, maxLength: 4 }).map((vms) =>
    aGoal(
      vms.map(([id, incarnation, digit]) => {
        const make = isMachine(id) ? aMachineGoal : aVmGoal;
        const layers = [{ digest: digestOf(digit), sizeBytes: 1_024, virtualSizeBytes: 1_024 }];
        return make({ id, incarnation, image: { ...aVmGoal().image, layers } });
      }),
    ),
  ),
);

const aBridge = fc.record({
  name: fc.constantFrom('wb5eed-1', 'wb5eed-2', 'wbf00d-1', 'wb5eed-1x', 'br0', 'virbr0'),
  ports: fc.array(fc.constantFrom('vnet0', 'eth0'), { maxLength: 1 }),
});

const aWorld: fc.Arbitrary<DoctorWorld> = fc.record({
  fleet: fc.constant(FLEET),
  host: fc.constant('h1'),
  goal: aGoalOrNone,
  busy: fc.array(anId, { maxLength: 2 }).map((ids) => new Set(ids)),
  domains: fc.array(aDomain, { maxLength: 4 }),
  networks: fc.array(
    fc.record({
      name: fc.constantFrom('weft-5eed-1', 'default', 'theirs'),
      mark: fc.constantFrom(null, { fleet: FLEET, id: 'crm/web' }),
      active: fc.boolean(),
      bridge: fc.constantFrom(null, 'wb5eed-1', 'wb5eed-2', 'virbr0'),
      leases: fc.constant([]),
    }),
    { maxLength: 3 },
  ),
  disks: fc.array(
    fc.tuple(anId, anIncarnation).map(([id, of]) => ({
      ...{ pool: 'local', path: diskPath(id, of), vmId: id },
      ...(isMachine(id)
        ? { kind: 'machine' as const, incarnation: null }
        : { kind: 'instance' as const, incarnation: of }),
    })),
    { maxLength: 5 },
  ),
  poolKinds: fc.constantFrom({ local: 'local' as const }, { local: 'shared' as const }),
  headers: fc.array(fc.tuple(aFile, aHeader), { maxLength: 10 }).map((entries) => new Map(entries)),
  restored: fc
    .array(fc.tuple(anId, anIncarnation), { maxLength: 2 })
    .map((those) => new Set(those.map(([id, of]) => diskPath(id, of)))),
  halfMade: fc.array(
    fc.tuple(anId, anIncarnation, aTime, anOwner).map(([id, of, modifiedMs, owner]) => ({
      ...{ pool: 'local', path: halfMadePath(id, of), vmId: id, modifiedMs, owner },
    })),
    { maxLength: 3 },
  ),
  loneOwners: fc.array(
    fc.tuple(anId, anIncarnation, aTime, anOwner).map(([id, of, modifiedMs, owner]) => ({
      ...{ pool: 'local', path: ownerPath(id, of), vmId: id, modifiedMs, owner },
      incarnation: isMachine(id) ? null : of,
    })),
    { maxLength: 3 },
  ),
  emptyFolders: fc.array(
    anId.map((id) => ({ pool: 'local', path: `${POOL}/roles/${id}`, vmId: id })),
    { maxLength: 3 },
  ),
  seeds: fc.array(
    fc.tuple(anId, anIncarnation).map(([id, of]) => ({ path: seedPath(id, of), vmId: id, incarnation: of })),
    { maxLength: 5 },
  ),
  blobFolder: fc.constant(BLOBS),
  blobs: fc.array(
    aDigit.map((digit) => ({
      path: layerFile(digit),
      digest: digestOf(digit),
      sizeBytes: 1_024,
      isWhole: true,
    })),
    { maxLength: 4 },
  ),
  damaged: fc.array(aDigit.map(digestOf), { maxLength: 2 }).map((digests) => new Set(digests)),
  bridges: fc.uniqueArray(aBridge, { selector: ({ name }) => name, maxLength: 4 }),
  tables: fc.uniqueArray(fc.constantFrom('weft_5eed', 'weft_f00d', 'filter')),
  hasGuests: fc.boolean(),
  spaces: fc.constantFrom(
    [],
    [{ name: 'local', path: POOL, freeMiB: 10, totalMiB: 100_000, hasCache: true }],
  ),
  leftovers: fc.array(
    fc.record({
      pool: fc.constantFrom('local', 'ceph'),
      kind: fc.constantFrom('golden', 'half-made', 'trashed'),
      image: aDigit.map((digit) => goldenOf({ layers: [{ digest: digestOf(digit) }] })),
      id: fc.constantFrom('10af', '10b0'),
    }),
    { maxLength: 3 },
  ),
});

/** The path, digest or name that a repair removes. */
const removed = (repair: Repair): string => {
  if ('path' in repair) return repair.path;
  if ('digest' in repair) return repair.digest;
  if ('image' in repair) return repair.image;
  return 'bridge' in repair ? repair.bridge : repair.table;
};

const always = (judge: (repair: Repair, world: DoctorWorld, finding: Finding) => void) =>
  fc.assert(
    fc.property(aWorld, (world) => {
      for (const finding of examine(world, NOW, LIMITS))
        if (finding.repair !== null) judge(finding.repair, world, finding);
    }),
    { numRuns: 1_000 },
  );

test('the worlds of these tests ask for every kind of repair', () => {
  const kinds = new Set<string>();
  always((repair) => kinds.add(repair.kind));
  expect([...kinds].sort()).toEqual([
    ...[
      'remove-blob',
      'remove-bridge',
      'remove-empty-folder',
      'remove-half-made',
      'remove-image',
      'remove-lone-owner',
      'remove-seed',
      'remove-table',
    ],
  ]);
});

describe('whatever is on a host, the doctor', () => {
  test('gives up no golden image that a machine of its goal is made from', () => {
    always((repair, { goal }) => {
      if (repair.kind !== 'remove-image' || repair.of !== 'golden') return;
      const names = (goal?.vms ?? [])
        .filter(({ kind, pool }) => kind === 'machine' && pool === repair.pool)
        .map(({ image }) => goldenOf(image));
      expect(goal).not.toBeNull();
      expect(names).not.toContain(repair.image);
    });
  });

  test('never has a repair that removes a disk, a machine’s least of all', () => {
    always((repair, { disks }) => {
      expect(disks.map(({ path }) => path)).not.toContain(removed(repair));
      expect(removed(repair)).not.toMatch(/\.qcow2$/);
    });
  });

  test('never has a repair that removes what any domain uses, whosever it is', () => {
    always((repair, { domains }) => {
      const files = domains.flatMap((domain) => domain.files);
      expect(files).not.toContain(removed(repair));
      if (repair.kind === 'remove-blob') expect(files).not.toContain(layerFile(repair.digest.slice(-1)));
    });
  });

  test('never gives up a layer below any disk of ours, however deep', () => {
    always((repair, world) => {
      if (repair.kind !== 'remove-blob') return;
      for (const { path } of world.disks) {
        const below = new Set<string>();
        for (let next = world.headers.get(path)?.backing; next && !below.has(next); ) {
          below.add(next);
          next = world.headers.get(next)?.backing;
        }
        expect([...below]).not.toContain(layerFile(repair.digest.slice(-1)));
      }
      expect(neededBlobs(world)?.has(repair.digest)).toBe(false);
    });
  });

  test('touches only names that are this fleet’s', () => {
    always((repair) => {
      if (repair.kind === 'remove-bridge') expect(repair.bridge).toMatch(/^wb5eed-[0-9]+$/);
      else if (repair.kind === 'remove-table') expect(repair.table).toBe('weft_5eed');
      else if ('path' in repair) expect(repair.path).toMatch(/^\/(pool\/(roles|machines)|state\/run)\//);
    });
  });

  test('never takes a bridge from under a network or an interface', () => {
    always((repair, { networks, bridges }) => {
      if (repair.kind !== 'remove-bridge') return;
      expect(networks.map(({ bridge }) => bridge)).not.toContain(repair.bridge);
      expect(bridges.find(({ name }) => name === repair.bridge)?.ports).toEqual([]);
    });
  });

  test('never touches what is being worked on, nor anything by a goal that it does not have', () => {
    always((repair, { busy, goal }, finding) => {
      for (const id of busy) if ('path' in repair) expect(repair.path).not.toContain(`/${id}/`);
      if (goal === null) expect(finding.kind).toBe('half-made-disk');
    });
  });

  test('in a pool that hosts share, touches no file of a disk that another host had last', () => {
    always((repair, { poolKinds, halfMade, loneOwners }) => {
      if (poolKinds.local !== 'shared') return;
      if (repair.kind === 'remove-half-made')
        expect(halfMade.some(({ path, owner }) => path === repair.path && owner === 'h1')).toBe(true);
      if (repair.kind === 'remove-lone-owner')
        expect(
          loneOwners.some(({ path, owner, incarnation }) => {
            return path === repair.path && owner === 'h1' && incarnation !== null;
          }),
        ).toBe(true);
    });
  });

  test('never repairs an error', () => {
    always((_repair, _world, finding) => expect(finding.severity).toBe('note'));
  });

  test('names every finding once, and says the same of the same world', () => {
    fc.assert(
      fc.property(aWorld, (world) => {
        const findings = examine(world, NOW, LIMITS);
        const names = findings.map(({ kind, subject }) => `${kind} ${subject}`);
        expect(new Set(names).size).toBe(names.length);
        expect(examine(world, NOW, LIMITS)).toEqual(findings);
      }),
    );
  });
});
