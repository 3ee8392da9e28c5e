import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock, Timer } from '../kit/clock.ts';
import { Paced } from '../kit/paced.ts';

const MONITORS: readonly (readonly [string, ...string[]])[] = [
  ['nft', 'monitor'],
  ['ip', 'monitor', 'link', 'address', 'route'],
];
/** They end with this agent, also where it is killed: by themselves they would see that nobody reads on only when they have something to write. */
const ENDING_WITH_US = ['setpriv', '--pdeathsig', 'KILL', '--'] as const;
/** Changes come in rows: one look for all of one row. */
const SETTLE_MS = 100;
/** Others may change something without end, such as routes by BGP: a look at everything is not made more often than that. */
const PAUSE_MS = 1_000;
const AGAIN_MS = 5_000;

/**
 * Tells when somebody, whoever it was, has changed rules, links, addresses or routes of this host's kernel. It may miss something: who
 * listens looks by itself as well, from time to time.
 * @returns what ends it.
 */
export function watchKernel(clock: Clock, onChange: () => void): () => void {
  const children = new Map<string, ChildProcess>();
  const timers = new Map<string, Timer>();
  const looks = new Paced(clock, { settleMs: SETTLE_MS, pauseMs: PAUSE_MS }, onChange);
  let ended = false;
  const later = (key: string, afterMs: number, work: () => void) => {
    if (ended || timers.has(key)) return;
    timers.set(
      key,
      clock.after(afterMs, () => {
        timers.delete(key);
        if (!ended) work();
      }),
    );
  };
  const start = ([program, ...args]: readonly [string, ...string[]]) => {
    const [file, ...options] = ENDING_WITH_US;
    const child = spawn(file, [...options, program, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
    children.set(program, child);
    child.stdout?.on('data', () => looks.ask());
    child.on('error', () => undefined);
    child.on('close', () => later(program, AGAIN_MS, () => start([program, ...args])));
  };
  for (const monitor of MONITORS) start(monitor);
  return () => {
    ended = true;
    looks.stop();
    for (const timer of timers.values()) timer.cancel();
    for (const child of children.values()) child.kill();
  };
}
