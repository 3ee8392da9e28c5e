import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VmRow } from '../../../controller/client/index.ts';
import { ask } from '../../support/steady-load.ts';
import type { Benchmark } from '../contract.ts';
import { BenchFleet } from '../fleet.ts';
import { median } from '../statistics.ts';

const ROUNDS = 5;
const LIMIT_MS = 120_000;
/** Of one request: an address that no host has yet answers nothing. */
const ASK_LIMIT_MS = 200;
const PAUSE_MS = 2;
/** Requests between two looks at where it is reached. */
const LOOK_EVERY = 100;
const APP = 'first';
const MODEL = `
apiVersion: weft/v1
kind: Application
name: ${APP}
roles:
  web:
    kind: worker
    image: "tiny:stable"
    size: {cpus: 1, memory: 128MiB, disk: 256MiB}
    instances: 1
    start: "exec busybox httpd -f -p 8080 -h /etc"
    endpoints:
      http: {type: input, port: 80, targetPort: 8080, probe: {http: /hostname, interval: 1s}}
`;

/** All of the way: agent, controller, edge hosts, the address that one of them has, and a client outside the fleet. */
export const firstRequest: Benchmark = {
  name: 'first-request',
  about:
    'from the only instance told ready to the first request that is answered at the public address of its application',
  async run({ rounds, say }) {
    const fleet = await BenchFleet.up('bench-first', 2, say, { publicAddresses: 4 });
    try {
      await fleet.build('tiny', say);
      const times: number[] = [];
      for (let round = 1; round <= (rounds ?? ROUNDS); round++) {
        times.push(await readyToAnswered(fleet));
        say(`round ${round}: ${times.at(-1)?.toFixed(0)} ms after it was told ready`);
        await fleet.remove(APP);
      }
      return [
        {
          benchmark: 'first-request',
          unit: 'ms',
          value: median(times),
          target: { limit: 200, better: 'lower' },
          readings: { ms: times },
          note: 'from the change that tells a client of the API that the instance is ready to the first answer that a client of its load balancer has; below zero: the answer was first',
        },
      ];
    } finally {
      await fleet.down();
    }
  },
};

async function readyToAnswered(fleet: BenchFleet): Promise<number> {
  const changes = fleet.api.followChanges();
  const stop = new AbortController();
  const limit = setTimeout(() => {
    stop.abort();
    void changes.return(undefined);
  }, LIMIT_MS);
  try {
    let answered: Promise<number> | null = null;
    for await (const { event, data } of changes) {
      if (event === 'synced') await fleet.api.apply(APP, MODEL, {});
      const { id, state } = data as VmRow;
      if (event !== 'vm' || id !== `${APP}/web-0`) continue;
      // Its application has its address by then.
      answered ??= untilAnswered(fleet, stop.signal);
      answered.catch(() => undefined);
      if (state !== 'ready') continue;
      const readyMs = performance.now();
      return (await answered) - readyMs;
    }
    throw new Error('the changes of the fleet came to an end');
  } finally {
    clearTimeout(limit);
    stop.abort();
  }
}

async function untilAnswered({ api }: BenchFleet, signal: AbortSignal): Promise<number> {
  let address: string | undefined;
  for (let asked = 0; !signal.aborted; asked++) {
    // Where all public addresses were used up for a moment, it has been given one since.
    if (address === undefined || asked % LOOK_EVERY === 0)
      address = (await api.getApplication(APP)).endpoints[0]?.addresses[0];
    if (address !== undefined) {
      const { error } = await ask(`http://${address}/hostname`, {}, ASK_LIMIT_MS);
      if (error === null) return performance.now();
    }
    await sleep(PAUSE_MS);
  }
  const { endpoints } = await api.getApplication(APP);
  throw new Error(`nobody answered within ${LIMIT_MS} ms at ${address}: ${JSON.stringify(endpoints)}`);
}
