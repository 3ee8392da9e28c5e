// Body of the Worker of exit.mjs: events, calls and connections until it is terminated.
import { parentPort, workerData } from 'node:worker_threads';
import { Connection } from '../../dist/index.js';

for (;;) {
  const connection = await Connection.open(workerData.uri);
  parentPort.postMessage('working');
  connection.on('lifecycle', () => {});
  await Promise.all(Array.from({ length: 8 }, () => connection.listAllDomains()));
  if (Math.random() < 0.5) await connection.close();
}
