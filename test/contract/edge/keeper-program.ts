import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { EdgeKeeper } from '../../../agent/edge/keeper.ts';
import { systemClock } from '../../../agent/kit/clock.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import { edgeGoal } from '../../../agent/protocol/network.ts';

/** An agent's keeper alone, in the network that this program runs in: goals come in, reports go out, one a line. */
const [folder = '', certificates = '', ownAddress = '', controller = ''] = process.argv.slice(2);
const keeper: EdgeKeeper = new EdgeKeeper({
  ...{ folder, certificates },
  // In place of a controller: what it keeps is in a folder.
  fetchCertificate: (name) => readFile(join(controller, `${name}.pem`), 'utf8'),
  ownAddress: () => ownAddress,
  missing: [],
  clock: systemClock,
  log: createLogger('edge-keeper'),
  onChange: () => undefined,
});
keeper.start();
setInterval(() => process.stdout.write(`${JSON.stringify(keeper.report() ?? null)}\n`), 50);
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => keeper.follow(edgeGoal.parse(JSON.parse(line))));
lines.on('close', () => void keeper.close().then(() => process.exit(0)));
