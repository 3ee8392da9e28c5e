import { describe, test } from 'vitest';
import type { VmRecord } from '../../controller/model/index.ts';
import { plan } from '../../controller/reconciler/plan.ts';
import type { LiveHost } from '../../controller/reconciler/world.ts';
import { explore } from './support/explore.ts';
import { expectCaught, type Mutation } from './support/mutation.ts';
import { scriptOf } from './support/script.ts';

const RUNS = Math.ceil(Number(process.env.WEFT_RUNS ?? '20') / 4);
const STEPS = 60;

describe('under faults, whatever is served to the world drains before it is taken away', () => {
  for (let seed = 1; seed <= RUNS; seed++)
    test(`seed ${seed}`, async () => {
      await explore(scriptOf(seed, STEPS), { seed, edges: true });
    });
});

/** Load balancers are believed to have no connection to anything. */
const seesNoConnection: typeof plan = (world, nowMs, settings) => {
  const live = [...world.live].map(([name, host]): [string, LiveHost] => {
    const { report } = host;
    if (!report?.edge) return [name, host];
    const endpoints = report.edge.endpoints.map((endpoint) => ({
      ...endpoint,
      backends: endpoint.backends.map((backend) => ({ ...backend, sessions: 0 })),
    }));
    return [name, { ...host, report: { ...report, edge: { ...report.edge, endpoints } } }];
  });
  return plan({ ...world, live: new Map(live) }, nowMs, settings);
};

const writing =
  (change: (vm: VmRecord) => VmRecord): typeof plan =>
  (world, nowMs, settings) => {
    const planned = plan(world, nowMs, settings);
    const puts = planned.puts.map(({ key, value }) => ({
      key,
      value: key.startsWith('vms/') ? change(value as VmRecord) : value,
    }));
    return { ...planned, puts };
  };

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'nobody is asked whether connections are open': [
    /went with \d+ connections open/,
    { plan: seesNoConnection, edges: true },
    ['scale', 'reimage', 'apply'],
  ],
  'drains have no time': [
    /went with \d+ connections open/,
    { plan: writing((vm) => (vm.drain ? { ...vm, drain: { ...vm.drain, untilMs: 0 } } : vm)), edges: true },
    ['scale', 'reimage', 'apply'],
  ],
  'what is re-imaged does not drain': [
    /was ready, and was taken away/,
    {
      plan: writing((vm) =>
        vm.state === 'draining' && vm.reimageRequested
          ? { ...vm, state: 'placing', incarnation: vm.incarnation + 1, drain: null }
          : vm,
      ),
      edges: true,
    },
    ['reimage'],
  ],
  'a machine that is deleted does not drain': [
    /was ready, and was taken away/,
    {
      plan: writing((vm) =>
        vm.state === 'draining' && vm.deleteRequested
          ? { ...vm, state: 'stopping', power: 'stopped', deleting: true, drain: null }
          : vm,
      ),
      edges: true,
    },
    ['delete machine'],
  ],
};

describe('the simulation catches drains that are broken on purpose', () => {
  test.each(Object.entries(MUTATIONS))('%s', (_name, mutation) => expectCaught(...mutation));
});
