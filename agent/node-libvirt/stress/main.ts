import { PrivateLibvirt } from '../test/support/private-libvirt.ts';
import { stressDaemon } from './daemon.ts';
import { stressExits } from './exits.ts';
import { stressLosses } from './losses.ts';
import { memcheck } from './memcheck.ts';
import { stressCalls, stressConnections } from './memory.ts';

/** Every trial and its name on the command line. */
const TRIALS: Readonly<Record<string, (libvirt: PrivateLibvirt) => Promise<object>>> = {
  connections: () => stressConnections(10_000),
  calls: () => stressCalls(60_000),
  exits: (libvirt) => stressExits(60, ['test:///default', libvirt.uri]),
  daemon: (libvirt) => stressDaemon(libvirt, 5),
  losses: (libvirt) => stressLosses(libvirt, 10),
  memcheck: (libvirt) => memcheck(libvirt),
};

/** `npm run stress [-- TRIAL…]`: what was asked for, else everything. Exit code 1 when a trial failed, 2 for a wrong name. */
async function main(names: readonly string[]): Promise<number> {
  const wrong = names.find((name) => !(name in TRIALS));
  if (wrong !== undefined) {
    console.error(`there is no trial ${wrong}; there are: ${Object.keys(TRIALS).join(', ')}`);
    return 2;
  }
  let failures = 0;
  const libvirt = await PrivateLibvirt.start({ name: 'stress' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void libvirt.stop().finally(() => process.exit(130)));
  try {
    for (const [name, trial] of Object.entries(TRIALS)) {
      if (names.length > 0 && !names.includes(name)) continue;
      const startedMs = Date.now();
      const outcome = await trial(libvirt).catch((error: Error) => error);
      const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
      if (outcome instanceof Error) failures++;
      console.log(
        outcome instanceof Error
          ? `FAILED ${name} after ${seconds} s: ${outcome.message}`
          : `ok     ${name} in ${seconds} s: ${JSON.stringify(outcome)}`,
      );
    }
  } finally {
    await libvirt.stop();
  }
  return failures === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
