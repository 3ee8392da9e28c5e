// daemon.mjs URI: calls and events without pause, until SIGTERM, on a daemon that is killed and stopped meanwhile.
// Every call has a time limit; each must end within it, whatever the daemon does.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ReconnectingConnection } from '../../dist/index.js';
import { bindingThreads, report, residentMiB } from './common.mjs';

const LIMIT_MS = 1_000;
const CALLERS = 8;
const figures = {
  answered: 0,
  refused: 0,
  timedOut: 0,
  late: 0,
  connects: 0,
  losses: 0,
  events: 0,
  unexpected: [],
};
let stopping = false;
process.on('SIGTERM', () => {
  stopping = true;
});

const reconnecting = new ReconnectingConnection(process.argv[2], {
  timeoutMs: 2_000,
  keepAlive: { intervalSeconds: 1, count: 2 },
  backOff: { firstMs: 50, maximumMs: 500, factor: 2 },
});
reconnecting.on('connected', () => figures.connects++);
reconnecting.on('disconnected', () => figures.losses++);
reconnecting.on('lifecycle', () => figures.events++);
reconnecting.start();
const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();

const machine = (name) =>
  `<domain type='qemu'><name>${name}</name><memory unit='MiB'>32</memory><os><type arch='x86_64' machine='pc'>hvm</type></os></domain>`;
const limit = { timeoutMs: LIMIT_MS };

async function caller(index) {
  while (!stopping) {
    const startedMs = Date.now();
    try {
      const connection = await reconnecting.connection({ timeoutMs: 100 });
      if (index === 0) {
        const domain = await connection.defineDomain(machine('stress'), 0, limit);
        await domain.undefine(0, limit);
      } else if (index % 2 === 0) await connection.listAllDomains(0, limit);
      else await connection.getHostname(limit);
      figures.answered++;
    } catch (error) {
      if (error.name === 'CallTimeoutError' || error.name === 'TimeoutError') figures.timedOut++;
      else if (error.name === 'LibvirtError') {
        figures.refused++;
        await new Promise((resolve) => setTimeout(resolve, 5));
      } else figures.unexpected.push(String(error));
    }
    if (Date.now() - startedMs > 2 * LIMIT_MS + 600) figures.late++;
  }
}

await Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(index)));
await reconnecting.connection({ timeoutMs: 20_000 });
await reconnecting.close({ timeoutMs: 5_000 });
delay.disable();
for (let waited = 0; bindingThreads() > 0 && waited < 10_000; waited += 50)
  await new Promise((resolve) => setTimeout(resolve, 50));
report({
  ...figures,
  longestStallMs: Math.round(delay.max / 1e6),
  threadsLeft: bindingThreads(),
  residentMiB: residentMiB(),
});
