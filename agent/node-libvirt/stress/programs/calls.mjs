// calls.mjs COUNT: calls on handles that nobody keeps, so that they are collected while libvirt uses them.
import { Connection, DomainMetadataType } from '../../dist/index.js';
import { report, residentMiB, testMachine } from './common.mjs';

const PARALLEL = 200;
const count = Number(process.argv[2]);
const connection = await Connection.open('test:///default');
let heard = 0;
connection.on('lifecycle', () => heard++);
const startedMs = Date.now();
let calls = 0;
let round = 0;

/** Six calls; each handle is garbage as soon as its last call is on its way. */
async function chain(index) {
  const [domain] = await connection.listAllDomains();
  await domain.getState();
  const [network] = await connection.listAllNetworks();
  const xml = network.getXML();
  const made = await connection.defineDomain(testMachine(`calls-${index}`));
  await made.setMetadata(DomainMetadataType.TITLE, `round ${round}`);
  await Promise.all([made.undefine(), xml]);
  calls += 7;
}

while (calls < count) {
  await Promise.all(Array.from({ length: PARALLEL }, (_, index) => chain(index)));
  globalThis.gc?.();
  round++;
}
const seconds = (Date.now() - startedMs) / 1000;
await new Promise((resolve) => setTimeout(resolve, 50));
await connection.close();
report({ calls, seconds, eventsHeard: heard, eventsMade: (calls / 7) * 2, residentMiB: residentMiB() });
