import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { plan as planHost } from '../../agent/executor/plan.ts';
import type { MigrationReport } from '../../agent/protocol/index.ts';
import type { ClaimsRecord, HostRecord, VmRecord } from '../../controller/model/index.ts';
import { plan } from '../../controller/reconciler/plan.ts';
import { playScenario } from './support/scenario.ts';
import type { HostMutation } from './support/simulated-host-options.ts';

type Planner = typeof plan;
type Planned = ReturnType<Planner>;

/** Less than until its probe passes. */
const RUNS_WITHIN_MS = 300;

/** What has begun to come is taken for all of it, and for gone where it came from. */
const takesHalfForWhole: Planner = (world, nowMs, settings) => {
  const isComing = [...world.live.values()].some(({ report }) =>
    report?.migrations?.some((word) => word.role === 'in' && word.guest === 'paused'),
  );
  const change = (word: MigrationReport): MigrationReport => {
    if (word.role === 'in') return { ...word, landed: true };
    return word.role === 'out' ? { ...word, gone: true } : word;
  };
  const live = [...world.live].map(([name, host]) => {
    const { report } = host;
    if (!report?.migrations) return [name, host] as const;
    return [name, { ...host, report: { ...report, migrations: report.migrations.map(change) } }] as const;
  });
  return plan(isComing ? { ...world, live: new Map(live) } : world, nowMs, settings);
};

const nothingElse = (planned: Planned, puts: Planned['puts']): Planned => ({
  ...planned,
  ...{ puts, deletes: [], events: [], isSettled: false },
});

/** A machine whose new host is silent is started again where it came from: its old disk is there. */
const startsTheOldDisk: Planner = (world, nowMs, settings) => {
  const planned = plan(world, nowMs, settings);
  const moved = [...world.vms.values()].find(
    ({ copiedFrom, host }) => copiedFrom && world.hosts.get(String(host))?.state === 'down',
  );
  if (!moved?.copiedFrom) return planned;
  const { id, host: from, incarnation } = moved;
  const { host: to } = moved.copiedFrom;
  const { [`${id}@${incarnation}`]: claim, ...left } = world.claims.get(String(from))?.vms ?? {};
  if (!claim) return planned;
  const proof = { kind: 'operator', host: String(from), atMs: nowMs, detail: 'said so' } as const;
  const back: VmRecord = {
    ...{ ...moved, proof },
    ...{ host: to, incarnation: incarnation + 1, state: 'placing', copiedFrom: null, overlay: null },
    diskIncarnation: moved.copiedFrom.incarnation,
  };
  const there: ClaimsRecord = {
    vms: { ...world.claims.get(to)?.vms, [`${id}@${incarnation + 1}`]: claim },
  };
  return nothingElse(planned, [
    { key: `vms/${id}`, value: back },
    { key: `claims/${from}`, value: { vms: left } },
    { key: `claims/${to}`, value: there },
  ]);
};

/** The old disk is let go as soon as the machine runs elsewhere, whether it works there or not. */
const letsTheOldDiskGo: Planner = (world, nowMs, settings) => {
  const planned = plan(world, nowMs, settings);
  const moved = [...world.vms.values()].find(({ copiedFrom }) => copiedFrom);
  if (!moved?.copiedFrom) return planned;
  const dueMs = moved.stateSinceMs + RUNS_WITHIN_MS;
  if (nowMs < dueMs) return { ...planned, nextMs: dueMs, nextWaitMs: dueMs };
  const { host, incarnation } = moved.copiedFrom;
  const home = world.hosts.get(host) as HostRecord;
  return nothingElse(planned, [
    { key: `vms/${moved.id}`, value: { ...moved, copiedFrom: null } },
    {
      key: `hosts/${host}`,
      value: { ...home, copiedAway: { ...home.copiedAway, [moved.id]: incarnation } },
    },
  ]);
};

/** The host that gives removes its disk as soon as the hypervisor has nothing of the machine any more. */
const removesWhatLeft: typeof planHost = (goal, observed, nowMs, options) => {
  const gone = (goal.outgoing ?? []).filter(
    ({ id }) => !observed.domains.some(({ mark }) => mark?.id === id),
  );
  const disks = observed.disks.filter(({ vmId }) => gone.some(({ id }) => id === vmId));
  return [
    ...planHost(goal, observed, nowMs, options),
    ...disks.map((disk) => ({ kind: 'bury', vmId: disk.vmId, disk, upToIncarnation: 1_000 }) as const),
  ];
};

interface Broken {
  readonly plan?: Planner;
  readonly hostMutation?: HostMutation;
}

/** What is broken on purpose, in which scenario it shows, and what says so. */
const MUTATIONS: Readonly<Record<string, readonly [string, Broken, RegExp]>> = {
  'half a copy is taken for the machine': [
    'host-that-gives-dies-in-a-copy',
    { plan: takesHalfForWhole },
    /is said to be there with its disk, and never was/,
  ],
  'the old disk is started after the switch': [
    'host-that-takes-dies-before-a-copy-is-ready',
    { plan: startsTheOldDisk },
    /from a stale state: shop\/db@3 runs on h1 on an older disk/,
  ],
  'the old disk goes before the machine is ready with its copy': [
    'machine-moves-with-its-disk',
    { plan: letsTheOldDiskGo },
    /the old disk of shop\/db went before/,
  ],
  'the old disk goes before the record says that the machine has moved': [
    'controller-dies-in-a-copy',
    { hostMutation: { plan: removesWhatLeft } },
    /went without a user’s delete/,
  ],
  'what came runs before the record says whose it is': [
    'machine-moves-with-its-disk',
    { hostMutation: 'lets run what comes with its disk' },
    /runs on h2 on half a copy/,
  ],
  'what was copied is not safe from a loss of power': [
    'host-that-takes-dies-with-a-copy',
    { hostMutation: 'does not flush what was copied' },
    /on a disk that is not whole/,
  ],
};

describe('the simulation catches what is broken where a disk goes along', () => {
  test.each(Object.entries(MUTATIONS))('%s', async (_name, [scenario, broken, wanted]) => {
    const file = join(import.meta.dirname, 'scenarios', scenario, 'script.json');
    await expect(playScenario(file, broken)).rejects.toThrow(wanted);
  });
});
