import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { MigrationReport } from '../../agent/protocol/index.ts';
import type { VmRecord } from '../../controller/model/index.ts';
import { plan } from '../../controller/reconciler/plan.ts';
import type { World } from '../../controller/reconciler/world.ts';
import { expectCaught, type Mutation } from './support/mutation.ts';
import { playScenario } from './support/scenario.ts';

type Planner = typeof plan;

/** What hosts say of hand-overs comes changed to the controller. */
const hearing =
  (change: (word: MigrationReport) => MigrationReport): Planner =>
  (world, nowMs, settings) => {
    const live = [...world.live].map(([name, host]) => {
      const { report } = host;
      if (!report?.migrations) return [name, host] as const;
      return [name, { ...host, report: { ...report, migrations: report.migrations.map(change) } }] as const;
    });
    return plan({ ...world, live: new Map(live) }, nowMs, settings);
  };

const letRunOn = (vm: VmRecord): VmRecord =>
  vm.successor?.live?.state === 'stopping'
    ? { ...vm, successor: { ...vm.successor, live: { ...vm.successor.live, resume: true } } }
    : vm;

/** Whatever stands still runs on here, and nobody else is asked. */
const asksNobody: Planner = (world, nowMs, settings) => {
  const planned = plan(world, nowMs, settings);
  const puts = planned.puts.map(({ key, value }) => ({
    key,
    value: key.startsWith('vms/') ? letRunOn(value as VmRecord) : value,
  }));
  return { ...planned, puts };
};

/** That the other host is dead is taken for that nothing ever ran there. */
const takesDeathForNothing: Planner = (world: World, nowMs, settings) => {
  const planned = plan(world, nowMs, settings);
  const stoodStill = planned.puts.find(({ key, value }) => {
    const before = world.vms.get(key.slice('vms/'.length));
    return (
      before?.successor?.live?.state === 'stopping' && (value as VmRecord).incarnation > before.incarnation
    );
  });
  if (!stoodStill) return planned;
  const before = world.vms.get((stoodStill.value as VmRecord).id) as VmRecord;
  return { ...planned, puts: [{ key: stoodStill.key, value: letRunOn(before) }], deletes: [], events: [] };
};

const MOVES = ['move machine while it runs', 'drain', 'undrain'] as const;

/** What a hand-over rests on, broken, under moves at random. */
const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'what is coming is taken for what runs there': [
    /is said to run, and never did|while it runs on|is on h\d and on h\d/,
    {
      plan: hearing((word) =>
        word.role === 'in' && word.guest === 'paused' ? { ...word, guest: 'running' } : word,
      ),
    },
    MOVES,
  ],
};

/** The same, in the scenario that it is about. */
const IN_SCENARIOS: Readonly<Record<string, readonly [string, Planner, RegExp]>> = {
  'what stands still runs on, and nobody is asked': [
    'last-word-of-a-hand-over-is-lost',
    asksNobody,
    /is said to have stayed/,
  ],
  'what stands still runs on when the other host is dead': [
    'machine-that-stands-still-may-have-run-elsewhere',
    takesDeathForNothing,
    /from a stale state/,
  ],
  'what ran there and is down is taken for what never came': [
    'machine-ran-elsewhere-and-is-down-there',
    hearing((word) => (word.role === 'in' ? { ...word, ran: false } : word)),
    /from a stale state/,
  ],
};

describe('the simulation catches what is broken in a hand-over', () => {
  test.each(Object.entries(MUTATIONS))('%s', (_name, mutation) => expectCaught(...mutation));

  test.each(Object.entries(IN_SCENARIOS))('%s', async (_name, [scenario, broken, wanted]) => {
    const file = join(import.meta.dirname, 'scenarios', scenario, 'script.json');
    await expect(playScenario(file, { plan: broken })).rejects.toThrow(wanted);
  });
});
