// exit.mjs URI MODE MS: a process that ends, in the given manner, MS after its connections began their work.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Connection, ReconnectingConnection } from '../../dist/index.js';
import { testMachine } from './common.mjs';

const [uri, mode, ms] = process.argv.slice(2);
const local = uri.startsWith('test:');
let ending = false;
let machines = 0;

async function work() {
  const reconnecting = new ReconnectingConnection(uri);
  reconnecting.on('lifecycle', () => {});
  reconnecting.start();
  while (!ending) {
    const connection = await Connection.open(uri);
    connection.on('lifecycle', () => {});
    const calls = Array.from({ length: 8 }, async () => {
      await connection.listAllDomains();
      if (!local) return connection.getCapabilities();
      const domain = await connection.defineDomain(testMachine(`exit-${++machines}`));
      return domain.undefine();
    });
    await Promise.all(calls);
    await connection.close();
  }
}

if (mode === 'worker') {
  // Loaded by the Worker alone: what its end unloads, the binding's threads must not miss.
  const source = `import(${JSON.stringify(import.meta.url.replace('exit.mjs', 'worker.mjs'))})`;
  const worker = new Worker(source, { eval: true, workerData: { uri } });
  await once(worker, 'message');
  await new Promise((resolve) => setTimeout(resolve, Number(ms)));
  await worker.terminate();
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.exit(0);
}
Promise.all([work(), work()]).catch((error) => {
  console.error(error);
  process.exit(1);
});
await new Promise((resolve) => setTimeout(resolve, Number(ms)));
// Nothing is closed; an open connection does not keep a process.
if (mode === 'abandon') ending = true;
if (mode === 'exit') process.exit(0);
if (mode === 'throw') {
  process.on('uncaughtException', () => process.exit(0));
  throw new Error('the end');
}
if (mode === 'signal') {
  process.on('SIGTERM', () => process.exit(0));
  process.kill(process.pid, 'SIGTERM');
}
