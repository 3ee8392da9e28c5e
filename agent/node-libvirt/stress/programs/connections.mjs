// connections.mjs COUNT: connect, define, undefine, close, ten at a time; memory before and after.
import { Connection } from '../../dist/index.js';
import { bindingThreads, report, residentMiB, testMachine } from './common.mjs';

const PARALLEL = 10;
const WARM_UP = 500;
const count = Number(process.argv[2]);

async function one(index) {
  const connection = await Connection.open('test:///default');
  const domain = await connection.defineDomain(testMachine(`stress-${index}`));
  await domain.undefine();
  await connection.close();
}
async function many(total) {
  for (let done = 0; done < total; done += PARALLEL)
    await Promise.all(Array.from({ length: PARALLEL }, (_, index) => one(index)));
}

await many(WARM_UP);
const startedMs = Date.now();
const beforeMiB = residentMiB();
await many(count / 2);
const halfwayMiB = residentMiB();
await many(count / 2);
const afterMiB = residentMiB();
const seconds = (Date.now() - startedMs) / 1000;
// A thread that has been told to end needs a moment for it.
for (let waited = 0; bindingThreads() > 0 && waited < 5_000; waited += 10)
  await new Promise((resolve) => setTimeout(resolve, 10));
report({ connections: count, seconds, beforeMiB, halfwayMiB, afterMiB, threadsLeft: bindingThreads() });
