import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock, Timer } from '../kit/clock.ts';
import { Paced } from '../kit/paced.ts';

/** What guests' networks are of, in a host's kernel. */
export const KERNEL_PARTS = ['rules', 'links'] as const;
export type KernelPart = (typeof KERNEL_PARTS)[number];

/**
 * Of rules only, not of elements of sets: those come and go with each endpoint and guest, and nft 1.0.6 ends with a fault when many come at once to a set of
 * intervals, and before that takes as long over each as over all. Who takes away elements and no rule is found by the next look.
 */
const MONITORS: Readonly<Record<KernelPart, readonly [string, ...string[]]>> = {
  rules: ['nft', 'monitor', 'rules'],
  links: ['ip', 'monitor', 'link', 'address', 'route'],
};
/** They end with this agent, also where it is killed: by themselves they would see that nobody reads on only when they have something to write. */
const ENDING_WITH_US = ['setpriv', '--pdeathsig', 'KILL', '--'] as const;
/** Changes come in rows: one look for all of one row. */
const SETTLE_MS = 100;
/** Others may change something without end, such as routes by BGP: a look at everything is not made more often than that. */
const PAUSE_MS = 1_000;
const AGAIN_MS = 5_000;

/**
 * Tells when somebody, whoever it was, has changed rules, or links, addresses and routes of this host's kernel. It may miss something: who
 * listens looks by itself as well, from time to time.
 * @returns what ends it.
 */
export function watchKernel(clock: Clock, onChange: (part: KernelPart) => void): () => void {
  const stops = KERNEL_PARTS.map((part) => watchPart(clock, MONITORS[part], () => onChange(part)));
  return () => {
    for (const stop of stops) stop();
  };
}

function watchPart(clock: Clock, monitor: readonly string[], onChange: () => void): () => void {
  const looks = new Paced(clock, { settleMs: SETTLE_MS, pauseMs: PAUSE_MS }, onChange);
  let child: ChildProcess | null = null;
  let again: Timer | null = null;
  let ended = false;
  const start = () => {
    if (ended) return;
    const [file, ...options] = ENDING_WITH_US;
    child = spawn(file, [...options, ...monitor], { stdio: ['ignore', 'pipe', 'ignore'] });
    child.stdout?.on('data', () => looks.ask());
    child.on('error', () => undefined);
    child.on('close', () => {
      again = clock.after(AGAIN_MS, start);
    });
  };
  start();
  return () => {
    ended = true;
    looks.stop();
    again?.cancel();
    child?.kill();
  };
}
