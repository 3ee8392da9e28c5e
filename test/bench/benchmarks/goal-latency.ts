import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { systemClock } from '../../../agent/kit/clock.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import type { Goal } from '../../../agent/protocol/index.ts';
import type { Catalogue } from '../../../controller/catalogue/contract.ts';
import type { Fleet } from '../../../controller/fleet/contract.ts';
import type { SecretsStore } from '../../../controller/fleet/secrets-contract.ts';
import { createOperations } from '../../../controller/operations/index.ts';
import { EventLog, Reconciler } from '../../../controller/reconciler/index.ts';
import { SqliteStore } from '../../../controller/store/sqlite/sqlite-store.ts';
import { anApplication, aRole } from '../../support/builders/application.ts';
import { aVmGoal, FLEET } from '../../support/builders/goal.ts';
import { aHello, aHost } from '../../support/builders/host.ts';
import { FakeFencer } from '../../support/fakes/fake-fencer.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { Benchmark } from '../contract.ts';
import { median, percentile } from '../statistics.ts';

const HOSTS = 50;
const APPLICATIONS = 10;
const INSTANCES = 50;
const CHANGES = 400;
const SHAPE = { cpus: 32, memoryMiB: 65_536 };

const catalogue = {
  resolve: async () => ({ name: 'tiny', version: '1', goal: aVmGoal().image }),
} as unknown as Catalogue;
const secrets = { remove: async () => undefined } as unknown as SecretsStore;

/** Hosts that are connected and take every goal; whoever waits for a VM is told when a goal names it. */
class ListeningFleet implements Pick<Fleet, 'hosts' | 'sendGoal' | 'onEvent'> {
  readonly #names = Array.from({ length: HOSTS }, (_, number) => `h${number}`);
  #onGoal: (goal: Goal) => void = () => undefined;

  hosts() {
    return this.#names.map((name) => ({
      name,
      connected: true,
      endedBecause: null,
      lastHeardMs: systemClock.now(),
      hello: aHello(name, SHAPE),
      report: null,
    }));
  }

  onEvent() {
    return () => undefined;
  }

  sendGoal(_host: string, goal: Goal): void {
    this.#onGoal(goal);
  }

  /** @returns the performance clock's time at which a goal first named this VM. */
  named(vmId: string): Promise<number> {
    return new Promise((resolve) => {
      this.#onGoal = (goal) => {
        if (goal.vms.some(({ id }) => id === vmId)) resolve(performance.now());
      };
    });
  }
}

/** From a user's call to the goal that carries its effect, on a fabric of some size with a store on disk. */
export const goalLatency: Benchmark = {
  name: 'goal-latency',
  about: 'from a scale call to the goal that names the new VM, 50 hosts and 500 instances',
  async run({ rounds, say }) {
    const folder = await mkdtemp('/var/tmp/weft-bench-store-');
    const store = await SqliteStore.open(join(folder, 'weft.db'));
    const fleet = new ListeningFleet();
    const events = new EventLog();
    await events.open(store);
    const names = Array.from({ length: APPLICATIONS }, (_, number) => `app-${number}`);
    await store.transact({
      puts: [
        ...fleet.hosts().map(({ name }) => ({ key: `hosts/${name}`, value: aHost(name, SHAPE) })),
        ...names.map((name) => ({
          key: `apps/${name}`,
          value: anApplication(name, { roles: { web: aRole({ instances: INSTANCES }) } }),
        })),
      ],
    });
    const parts = {
      store,
      catalogue,
      clock: systemClock,
      fleet: fleet as unknown as Fleet,
      fencer: new FakeFencer(),
    };
    const reconciler = new Reconciler({
      ...parts,
      fleetRecord: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
      secrets,
      events,
      log: createLogger('bench', 'silent'),
    });
    const operations = createOperations(parts);
    try {
      await reconciler.start();
      await waitFor(
        'every instance to be placed',
        async () =>
          (await store.list('vms/')).entries.filter(({ value }) => (value as { host: string | null }).host),
        (placed) => placed.length === APPLICATIONS * INSTANCES,
      );
      const times: number[] = [];
      for (let change = 0; change < (rounds ?? CHANGES); change++) {
        const app = names[change % names.length] ?? '';
        const index = INSTANCES + Math.floor(change / names.length);
        const named = fleet.named(`${app}/web-${index}`);
        const startedMs = performance.now();
        await operations.scale(app, 'web', index + 1);
        times.push((await named) - startedMs);
      }
      say(`goal latency: p50 ${median(times).toFixed(1)} ms, p99 ${percentile(times, 0.99).toFixed(1)} ms`);
      return [
        {
          benchmark: 'goal-latency, p99',
          unit: 'ms',
          value: percentile(times, 0.99),
          target: { limit: 50, better: 'lower' },
          readings: { ms: times },
          note: 'two durable SQLite transactions included (the call’s and the placement’s), the network to the host not',
        },
      ];
    } finally {
      await reconciler.stop();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};
