import { describe, expect, test } from 'vitest';
import type { CephLeftover } from '../../../agent/disks/rbd/leftovers.ts';
import { goldenOf } from '../../../agent/disks/rbd/names.ts';
import { examine } from '../../../agent/doctor/examine.ts';
import { fullPools } from '../../../agent/doctor/space-guard.ts';
import type { DoctorWorld } from '../../../agent/doctor/world.ts';
import type { Goal } from '../../../agent/protocol/index.ts';
import {
  aDoctorWorld,
  anImage,
  BLOBS,
  digestOf,
  LIMITS,
  layerFile,
  POOL,
  RUN,
} from '../../support/builders/doctor-world.ts';
import { aGoal, aMachineGoal, aVmGoal, FLEET } from '../../support/builders/goal.ts';

const NOW = 10_000_000;
const found = (overrides: Partial<DoctorWorld> = {}) => examine(aDoctorWorld(overrides), NOW, LIMITS);
const DISK = `${POOL}/roles/crm/web-0/1.qcow2`;

test('a host in order has nothing to say', () => {
  expect(found()).toEqual([]);
});

test('a guard that does not run is an error, one whose watchdog proves nothing a warning', () => {
  const watchdog = { armed: true, dependable: true, timeoutMs: 10_000, identity: 'iTCO_wdt' };
  const guard = (overrides: object) =>
    found({ guard: { leaseMs: 30_000, running: true, watchdog, ...overrides } });
  expect(guard({})).toEqual([]);
  expect(guard({ watchdog: null })).toEqual([]);
  expect(guard({ running: false, watchdog: null })).toMatchObject([
    { kind: 'guard', severity: 'error', repair: null },
  ]);
  const softdog = { ...watchdog, dependable: false, note: 'it is a timer of the kernel' };
  expect(guard({ watchdog: softdog })).toMatchObject([
    { severity: 'warning', message: expect.stringContaining('proves nothing: it is a timer of the kernel') },
  ]);
  expect(guard({ watchdog: { ...watchdog, armed: false, note: 'EBUSY' } })).toMatchObject([
    { severity: 'warning', message: expect.stringContaining('not armed: EBUSY') },
  ]);
});

describe('a half-made disk', () => {
  const path = `${POOL}/roles/crm/web-1/2.qcow2.0a1b2c3d.tmp`;
  const halfMade = (ageMs: number, owner: string | null = null) => [
    { pool: 'local', path, vmId: 'crm/web-1', modifiedMs: NOW - ageMs, owner },
  ];

  test('goes when nothing can be making it any more', () => {
    expect(found({ halfMade: halfMade(599_000) })).toEqual([]);
    expect(found({ halfMade: halfMade(600_000) })).toMatchObject([
      { kind: 'half-made-disk', severity: 'note', repair: { kind: 'remove-half-made', pool: 'local', path } },
    ]);
    expect(found({ halfMade: halfMade(600_000), busy: new Set(['crm/web-1']) })).toEqual([]);
  });

  test('in a pool that hosts share goes when this host was to have the disk, and else is shown only', () => {
    const shared = (ageMs: number, owner: string | null) =>
      found({ halfMade: halfMade(ageMs, owner), poolKinds: { local: 'shared' as const } });
    for (const owner of ['h2', null])
      expect(shared(600_000, owner)).toMatchObject([{ kind: 'half-made-disk', repair: null }]);
    expect(shared(600_000, 'h1')).toMatchObject([{ repair: { kind: 'remove-half-made', path } }]);
    expect(shared(599_000, 'h1')).toEqual([]);
  });
});

describe('who had a disk, written down where there is none,', () => {
  const file = (vmId: string, incarnation: number | null, owner: string | null = 'h1') => ({
    ...{ pool: 'local', vmId, incarnation, owner, modifiedMs: NOW - 600_000 },
    path:
      incarnation === null
        ? `${POOL}/machines/${vmId}/owner.json`
        : `${POOL}/roles/${vmId}/${incarnation}.qcow2.owner`,
  });
  const shared = { local: 'shared' as const };

  test('goes when the goal has no use for it', () => {
    const old = file('old/db', null);
    expect(found({ loneOwners: [old] })).toMatchObject([
      { kind: 'lone-owner', severity: 'note', repair: { kind: 'remove-lone-owner', path: old.path } },
    ]);
    expect(found({ loneOwners: [{ ...old, owner: null }] })).toHaveLength(1);
    expect(found({ loneOwners: [{ ...old, modifiedMs: NOW - 599_000 }] })).toEqual([]);
    expect(found({ loneOwners: [old], busy: new Set(['old/db']) })).toEqual([]);
    expect(found({ loneOwners: [old], goal: null })).toEqual([]);
  });

  test('stays of a machine that is declared, or about to be removed', () => {
    const db = aMachineGoal({ id: 'crm/db' });
    const goal = aGoal([aVmGoal(), db]);
    expect(found({ loneOwners: [file('crm/db', null)], goal })).toEqual([]);
    const tombstones = [{ id: 'crm/db', upToIncarnation: 1 }];
    expect(
      found({ loneOwners: [file('crm/db', null)], goal: { ...aGoal([aVmGoal()]), tombstones } }),
    ).toEqual([]);
  });

  test('in a pool that hosts share goes of instances that this host had; of machines it is shown, of other hosts not even that', () => {
    const loneOwners = [file('old/web-0', 2), file('old/db', null), file('old/web-1', 1, 'h2')];
    expect(
      found({ loneOwners, poolKinds: shared }).map(({ subject, repair }) => [subject, repair?.kind]),
    ).toEqual([
      [`${POOL}/roles/old/web-0/2.qcow2.owner`, 'remove-lone-owner'],
      [`${POOL}/machines/old/db/owner.json`, undefined],
    ]);
    // Its own incarnation is being made, an earlier one never again; of a newer one the goal has not heard.
    const goal = aGoal([aVmGoal({ incarnation: 4 })]);
    const left = found({
      ...{ goal, poolKinds: shared, seeds: [], disks: [], domains: [] },
      loneOwners: [file('crm/web-0', 2), file('crm/web-0', 4), file('crm/web-0', 9)],
    });
    expect(left.map(({ subject }) => subject)).toEqual([`${POOL}/roles/crm/web-0/2.qcow2.owner`]);
  });
});

describe('a seed', () => {
  const seed = (vmId: string, incarnation: number) => ({
    path: `${RUN}/${vmId}/seed-${incarnation}.iso`,
    vmId,
    incarnation,
  });
  const goal = aGoal([aVmGoal({ incarnation: 4 })]);

  test('of an earlier incarnation goes, unless a domain has it in its drive', () => {
    const headers = new Map([
      [DISK, anImage(layerFile('a'))],
      [layerFile('a'), anImage(null)],
    ]);
    const stale = found({
      goal,
      headers,
      seeds: [seed('crm/web-0', 1), seed('crm/web-0', 2), seed('crm/web-0', 4)],
    });
    expect(stale.map(({ subject }) => subject)).toEqual([`${RUN}/crm/web-0/seed-2.iso`]);
  });

  test('of a newer incarnation, or of a VM that no goal names, is no orphan of the doctor', () => {
    expect(found({ goal, seeds: [seed('crm/web-0', 9), seed('old/db', 1)] })).toEqual([]);
  });
});

describe('an empty folder', () => {
  test('goes when the goal has no use for it', () => {
    const emptyFolders = [
      { pool: 'local', path: `${POOL}/roles/old/web-3`, vmId: 'old/web-3' },
      { pool: 'local', path: `${POOL}/roles/old`, vmId: null },
      { pool: null, path: `${RUN}/old`, vmId: null },
      { pool: 'local', path: `${POOL}/roles/crm/web-0`, vmId: 'crm/web-0' },
      { pool: 'local', path: `${POOL}/machines/crm`, vmId: null },
    ];
    expect(found({ emptyFolders }).map(({ subject }) => subject)).toEqual([
      `${POOL}/roles/old/web-3`,
      `${POOL}/roles/old`,
      `${RUN}/old`,
    ]);
  });
});

describe('a blob', () => {
  const blob = (digit: string, isWhole = true) => ({
    path: layerFile(digit),
    digest: digestOf(digit),
    sizeBytes: 3 * 2 ** 20,
    isWhole,
  });

  test('that nothing needs goes, whole or half arrived', () => {
    const unneeded = found({ blobs: [blob('a'), blob('b'), blob('c', false)] });
    expect(unneeded.map(({ subject, repair }) => [subject, repair])).toEqual(
      ['b', 'c'].map((digit) => [digestOf(digit), { kind: 'remove-blob', digest: digestOf(digit) }]),
    );
  });

  test('stays below a machine that no goal names, through every layer of its chain', () => {
    const disk = `${POOL}/machines/old/db/disk.qcow2`;
    const headers = new Map([
      [DISK, anImage(layerFile('a'))],
      [layerFile('a'), anImage(null)],
      [disk, anImage(layerFile('b'))],
      [layerFile('b'), anImage(layerFile('c'))],
      [layerFile('c'), anImage(null)],
    ]);
    const disks = [
      ...aDoctorWorld().disks,
      { pool: 'local', path: disk, vmId: 'old/db', kind: 'machine' as const, incarnation: null },
    ];
    const kinds = found({ disks, headers, blobs: ['a', 'b', 'c', 'd'].map((digit) => blob(digit)) });
    expect(kinds.map(({ kind, subject }) => [kind, subject])).toEqual([
      ['stranger', disk],
      ['unneeded-blob', digestOf('d')],
    ]);
  });

  test('stays when a domain uses it, also one of somebody else', () => {
    const domain = {
      name: 'theirs',
      mark: null,
      state: 'shut-off' as const,
      reason: 'unknown',
      overlay: '/theirs.qcow2',
    };
    const domains = [
      ...aDoctorWorld().domains,
      { ...domain, files: ['/theirs.qcow2', `${BLOBS}/${'e'.repeat(64)}`] },
    ];
    const headers = new Map([
      ...aDoctorWorld().headers,
      ['/theirs.qcow2', anImage(layerFile('b'))],
      [layerFile('b'), anImage(null)],
    ]);
    expect(found({ domains, headers, blobs: [blob('b'), blob('e')] })).toEqual([]);
  });

  test('is never unneeded while there is no goal', () => {
    expect(found({ goal: null, blobs: [blob('b')] })).toEqual([]);
  });
});

describe('a chain', () => {
  const chain = (entries: readonly (readonly [string, ReturnType<typeof anImage> | null])[]) =>
    found({ headers: new Map(entries), blobs: [] });

  test.each([
    [
      'whose layer is not there',
      [
        [DISK, anImage(layerFile('a'))],
        [layerFile('a'), null],
      ],
      /which is not there/,
    ],
    [
      'on another layer than its image',
      [
        [DISK, anImage(layerFile('b'))],
        [layerFile('b'), anImage(null)],
      ],
      /its image's layer is a/,
    ],
    [
      'on a file outside the cache',
      [
        [DISK, anImage(layerFile('a'))],
        [layerFile('a'), anImage('/etc/shadow')],
      ],
      /\/etc\/shadow, which is no layer/,
    ],
    ['on no layer', [[DISK, anImage(null)]], /lies on no layer/],
    [
      'in a circle',
      [
        [DISK, anImage(layerFile('a'))],
        [layerFile('a'), anImage(layerFile('a'))],
      ],
      /in a circle/,
    ],
    ['whose head was overwritten', [[DISK, { isQcow2: false, backing: null, sizeBytes: 0 }]], /is no qcow2/],
  ] as const)('%s is an error that is not repaired', (_what, entries, message) => {
    const [first, ...rest] = chain(entries);
    expect(rest).toEqual([]);
    expect(first).toMatchObject({ kind: 'broken-chain', subject: DISK, severity: 'error', repair: null });
    expect(first?.message).toMatch(message);
    expect(first?.remedy).toBeTruthy();
  });

  test('may end at a machine’s disk that was made from a backup, whether the goal says so or what is written beside it', () => {
    const path = `${POOL}/machines/crm/db/disk.qcow2`;
    const disks = [{ pool: 'local', path, vmId: 'crm/db', kind: 'machine' as const, incarnation: null }];
    const lone = { disks, domains: [], headers: new Map([[path, anImage(null)]]), blobs: [], seeds: [] };
    // Adopted: the store has forgotten what it was made from.
    const goal = aGoal([aMachineGoal({ id: 'crm/db' })]);
    expect(found({ ...lone, goal })).toMatchObject([{ kind: 'broken-chain' }]);
    expect(found({ ...lone, goal, restored: new Set([path]) })).toEqual([]);
  });

  test('of an overlay that goes with its incarnation is of no account', () => {
    const headers = new Map([[DISK, anImage(null)]]);
    const goal = aGoal([aVmGoal({ incarnation: 2 })]);
    expect(found({ headers, goal, blobs: [], seeds: [] })).toEqual([]);
    const gone = found({
      headers,
      goal: aGoal([]),
      domains: [],
      networks: [],
      bridges: [],
      tables: [],
      blobs: [],
    });
    expect(gone.map(({ kind }) => kind)).toEqual(['unnamed']);
    expect(found({ headers, goal: null })).toMatchObject([{ kind: 'broken-chain' }]);
  });

  test('of a disk in a shared pool that another host runs is not ours to judge', () => {
    const disk = {
      pool: 'nfs',
      path: '/nfs/machines/far/db/disk.qcow2',
      vmId: 'far/db',
      kind: 'machine' as const,
      incarnation: null,
    };
    const headers = new Map([
      [disk.path, anImage(layerFile('f'))],
      [layerFile('f'), null],
    ]);
    const world = { domains: [], disks: [disk], headers, poolKinds: { nfs: 'shared' as const } };
    expect(found({ ...world, blobs: [] }).filter(({ kind }) => kind === 'broken-chain')).toEqual([]);
    const goal = aGoal([aMachineGoal({ id: 'far/db' })]);
    expect(found({ ...world, goal, blobs: [] })).toMatchObject([{ kind: 'broken-chain' }]);
  });
});

test('a layer of the wrong size, or with other bytes, names the disks that lie on it', () => {
  const headers = new Map([
    [DISK, anImage(layerFile('a'))],
    [layerFile('a'), anImage(null, 999)],
  ]);
  expect(found({ headers })).toMatchObject(
    [
      {
        kind: 'wrong-blob',
        severity: 'error',
        repair: null,
        message: /999 bytes instead of 1024; .* crm\/web-0/,
      },
    ].map((wanted) => ({ ...wanted, message: expect.stringMatching(wanted.message) })),
  );
  const damaged = found({ damaged: new Set([digestOf('a')]) });
  expect(damaged).toMatchObject([{ kind: 'wrong-blob', message: expect.stringContaining('other bytes') }]);
});

describe('a bridge', () => {
  const bridge = (name: string, ports: string[] = []) => ({ bridges: [{ name, ports }] });

  test('without a network goes; with something on it, a person is asked', () => {
    expect(found(bridge('wb5eed-7'))).toMatchObject([
      { repair: { kind: 'remove-bridge', bridge: 'wb5eed-7' } },
    ]);
    expect(found(bridge('wb5eed-7', ['tap9']))).toMatchObject([{ kind: 'lone-bridge', repair: null }]);
  });

  test('of another fleet, of a person, or that a network of anybody has is left alone', () => {
    for (const name of ['wbf00d-7', 'wb5eed-x', 'wb5eed-7x', 'br0', 'wb5eed-1'])
      expect(found(bridge(name))).toEqual([]);
    const networks = [{ name: 'theirs', mark: null, active: true, bridge: 'wb5eed-7', leases: [] }];
    expect(found({ ...bridge('wb5eed-7'), networks })).toEqual([]);
  });
});

describe('an image in Ceph', () => {
  const image = goldenOf(aMachineGoal().image);
  const leftover = (kind: CephLeftover['kind'], pool = 'ceph') => ({ pool, kind, image, id: '10af' });

  test('is unneeded when nothing lies on it, and no machine here is to be made from it', () => {
    const leftovers = [leftover('golden')];
    expect(found({ leftovers })).toMatchObject([
      {
        ...{ kind: 'unneeded-image', subject: `rbd:ceph/${image} 10af`, severity: 'note' },
        repair: { kind: 'remove-image', pool: 'ceph', image, id: '10af', of: 'golden' },
      },
    ]);
    const named = (pool: string) => aGoal([aVmGoal(), aMachineGoal({ pool })]);
    const unneeded = (goal: Goal | null) =>
      found({ goal, leftovers }).filter(({ kind }) => kind === 'unneeded-image').length;
    expect([unneeded(named('ceph')), unneeded(named('other')), unneeded(null)]).toEqual([0, 1, 0]);
    const coming = { ...aGoal([aVmGoal()]), incoming: [{ vm: aMachineGoal({ pool: 'ceph' }), from: 'h2' }] };
    expect(unneeded(coming)).toBe(0);
  });

  test('that is half made, or in the trash, is no machine’s', () => {
    const goal = aGoal([aVmGoal(), aMachineGoal({ pool: 'ceph' })]);
    for (const kind of ['half-made', 'trashed'] as const)
      expect(found({ goal, leftovers: [leftover(kind)] })).toMatchObject([{ repair: { of: kind } }]);
  });
});

test('the table of address translation goes with the last network, and no other table ever', () => {
  const idle = { goal: aGoal([]), domains: [], disks: [], networks: [], bridges: [], blobs: [], seeds: [] };
  expect(found({ ...idle, tables: ['filter', 'weft_5eed', 'weft_f00d'] })).toMatchObject([
    { kind: 'lone-table', repair: { kind: 'remove-table', table: 'weft_5eed' } },
  ]);
  expect(found({ tables: ['weft_5eed'] })).toEqual([]);
  expect(found({ ...idle, tables: ['weft_5eed'], hasGuests: true })).toEqual([]);
});

test.each([
  [50_000, 100_000, null],
  [9_000, 100_000, 'warning'],
  [2_000, 10_000, 'warning'],
  [2_900, 100_000, 'error'],
  [500, 4_000, 'error'],
])('%i of %i MiB free: %s', (freeMiB, totalMiB, severity) => {
  const spaces = [{ name: 'local', path: POOL, freeMiB, totalMiB, hasCache: true }];
  expect(found({ spaces }).map((finding) => finding.severity)).toEqual(severity === null ? [] : [severity]);
});

test.each([
  [50_000, false, null],
  [9_000, false, /9000 of 100000 MiB left$/],
  [2_900, false, /guests have to wait when there is none/],
  [50_000, true, /Ceph takes no writes into it: nothing new is placed there/],
])('%i of 100,000 MiB free in a pool in Ceph, full by Ceph: %s', (freeMiB, isFull, message) => {
  const spaces = [
    { name: 'ceph', path: 'rbd:ceph', freeMiB, totalMiB: 100_000, hasCache: false, ceph: { isFull } },
  ];
  const findings = found({ spaces });
  expect(findings).toHaveLength(message === null ? 0 : 1);
  if (message !== null) expect(findings[0]?.message).toMatch(message);
  expect(fullPools(spaces, LIMITS)).toEqual(isFull || freeMiB < 3_000 ? ['ceph'] : []);
});

test('what is ours and in no goal is shown, and left to the executor or kept', () => {
  const mark = {
    fleet: FLEET,
    id: 'old/web-0',
    incarnation: 1,
    kind: 'instance' as const,
    rebootGeneration: 0,
  };
  const domain = {
    name: 'weft-5eed-old',
    mark,
    state: 'running' as const,
    reason: 'booted',
    overlay: null,
    files: [],
  };
  expect(found({ domains: [...aDoctorWorld().domains, domain] })).toMatchObject([
    { kind: 'unnamed', subject: 'weft-5eed-old', severity: 'note', repair: null },
  ]);
});

test('the worst comes first', () => {
  const world = { headers: new Map([[DISK, anImage(null)]]), bridges: [{ name: 'wb5eed-9', ports: [] }] };
  const spaces = [{ name: 'local', path: POOL, freeMiB: 1_500, totalMiB: 10_000, hasCache: false }];
  expect(found({ ...world, spaces, blobs: [] }).map(({ severity }) => severity)).toEqual([
    'error',
    'warning',
    'note',
  ]);
});
