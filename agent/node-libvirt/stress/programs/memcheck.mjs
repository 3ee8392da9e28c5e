// memcheck.mjs [URI]: the short list for a memory checker, which makes everything fifty times slower.
import { Connection, DomainMetadataType } from '../../dist/index.js';
import { report, testMachine } from './common.mjs';

const uri = process.argv[2] ?? null;
let connections = 0;
let refusals = 0;

for (let round = 0; round < 5; round++) {
  const opened = await Promise.all(Array.from({ length: 4 }, () => Connection.open('test:///default')));
  connections += opened.length;
  await Promise.all(
    opened.map(async (connection, index) => {
      connection.on('lifecycle', () => {});
      const domain = await connection.defineDomain(testMachine(`check-${index}`));
      await domain.create();
      await domain.setMetadata(DomainMetadataType.TITLE, 'title');
      await Promise.all([domain.getXML(), domain.getState(), domain.getInfo(), domain.screenshot()]);
      await connection.getAllDomainStats();
      for (const network of await connection.listAllNetworks()) await network.getXML();
      await connection.lookupDomainByName('absent').catch(() => refusals++);
      const abort = new AbortController();
      const withdrawn = connection.getCapabilities({ signal: abort.signal }).catch(() => refusals++);
      abort.abort();
      await withdrawn;
      await domain.destroy();
      await domain.undefine();
      globalThis.gc?.();
      // Closing under calls.
      const late = domain.getState().catch(() => refusals++);
      await connection.close();
      await late;
    }),
  );
}

if (uri !== null) {
  for (let round = 0; round < 3; round++) {
    const connection = await Connection.open(uri, { timeoutMs: 60_000 });
    connections++;
    const [domain] = await connection.listAllDomains(1);
    if (domain) {
      const console = await domain.openConsole(null, 1);
      await console.write('\n');
      await console.read({ timeoutMs: 2_000 }).catch(() => refusals++);
      if (round > 0) await console.close();
    }
    await connection.getAllDomainStats();
    await connection.close();
  }
}
globalThis.gc?.();
report({ connections, refusals });
