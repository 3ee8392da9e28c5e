import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 400;
const LIMIT_MS = 5_000;
/** Of all processors. Guests that do nothing, libvirt and agents take a few hundredths. */
const MOST_BUSY = 0.12;

/** Waits until what went before has come to its end: guests that have moved go on working for a while, and so do agents. @returns false: it goes on. */
export async function isQuiet(): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < LIMIT_MS; waitedMs += LOOK_MS) {
    const before = times();
    await sleep(LOOK_MS);
    const after = times();
    if (1 - (after.idle - before.idle) / (after.all - before.all) < MOST_BUSY) return true;
  }
  return false;
}

function times(): { readonly idle: number; readonly all: number } {
  const each = cpus().map((cpu) => cpu.times);
  const sum = (of: (times: (typeof each)[number]) => number) => each.reduce((all, one) => all + of(one), 0);
  return {
    idle: sum(({ idle }) => idle),
    all: sum(({ idle, irq, nice, sys, user }) => idle + irq + nice + sys + user),
  };
}
