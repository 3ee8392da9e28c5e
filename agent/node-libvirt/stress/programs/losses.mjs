// losses.mjs URI CONNECTIONS: many calls at once on many connections, until all of them are lost.
import { once } from 'node:events';
import { Connection } from '../../dist/index.js';
import { report } from './common.mjs';

const CALLERS = 8;
const [uri, count] = process.argv.slice(2);
let answered = 0;
let refused = 0;

async function call(connection) {
  while (!connection.closed) {
    try {
      await connection.getHostname();
      answered++;
    } catch {
      refused++;
    }
  }
}

async function one() {
  const connection = await Connection.open(uri, {
    keepAlive: { intervalSeconds: 1, count: 1 },
    workers: 5,
    events: ['lifecycle'],
  });
  const lost = once(connection, 'close');
  await Promise.all(Array.from({ length: CALLERS }, () => call(connection)));
  await lost;
  await connection.close();
}

await Promise.all(Array.from({ length: Number(count) }, one));
report({ connections: Number(count), answered, refused });
