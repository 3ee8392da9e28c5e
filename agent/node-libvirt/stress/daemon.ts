import { setTimeout as sleep } from 'node:timers/promises';
import type { PrivateLibvirt } from '../test/support/private-libvirt.ts';
import { demand, figuresOf, runProgram } from './program.ts';

/** Longer than the keep-alive of `programs/daemon.mjs`, so that a stop costs the connection. */
const LONG_STOP_MS = 5_000;
const SHORT_STOP_MS = 700;
const BETWEEN_MS = 1_500;

/**
 * Calls and events under way while libvirtd is killed and stopped, `rounds` times each: every call ends within its time
 * limit, the connection comes back with its events, and Node's own thread is never held up.
 */
export async function stressDaemon(libvirt: PrivateLibvirt, rounds: number): Promise<object> {
  const end = await runProgram('daemon.mjs', [libvirt.uri], {
    limitMs: 60_000 + rounds * 30_000,
    meanwhile: async (child) => {
      for (let round = 0; round < rounds; round++) {
        await sleep(BETWEEN_MS);
        await libvirt.signal('KILL');
        await libvirt.answers();
        await sleep(BETWEEN_MS);
        await libvirt.signal('STOP');
        await sleep(SHORT_STOP_MS);
        await libvirt.signal('CONT');
        await sleep(BETWEEN_MS);
        await libvirt.signal('STOP');
        await sleep(LONG_STOP_MS);
        await (round % 2 === 0 ? libvirt.signal('CONT') : libvirt.signal('KILL'));
        await libvirt.answers();
      }
      await sleep(BETWEEN_MS);
      child.kill('SIGTERM');
    },
  });
  const figures = figuresOf('daemon', end);
  demand(figures, {
    'calls were answered': Number(figures.answered) > 100 * rounds,
    'calls of stopped daemons ran into their limits': Number(figures.timedOut) > 0,
    'no call outlived its limit': figures.late === 0,
    'nothing but LibvirtErrors and time limits': (figures.unexpected as unknown[]).length === 0,
    'each loss was noticed': Number(figures.losses) >= 2 * rounds,
    'each loss was followed by a connection': Number(figures.connects) > Number(figures.losses) - 1,
    'events came': Number(figures.events) > 10 * rounds,
    'the event loop never stalled as long as the shortest stop':
      Number(figures.longestStallMs) < SHORT_STOP_MS,
    'no worker thread is left': figures.threadsLeft === 0,
  });
  return { kills: rounds, stops: 2 * rounds, ...figures };
}
