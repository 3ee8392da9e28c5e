import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parseArgs } from 'node:util';
import { isAlive } from '../kit/processes.ts';
import { bootTimeMs, readBootId } from './boot-time.ts';
import { Guard } from './guard.ts';
import { DEFAULT_GUARD_FOLDER, GuardFolder } from './notes.ts';
import { turn } from './turn.ts';
import { isVirtualMachine } from './watchdog.ts';

const ROUND_MS = 500;
const USAGE = `usage: weft-guard [--folder FOLDER] [--take-over]

  --folder FOLDER   where the agent of this host writes what is to be guarded, default ${DEFAULT_GUARD_FOLDER}
  --take-over       begin when this host has a lease, and ask a guard that still runs to end; without it, begin when no other one runs

Stops this host's machines on shared pools when the host's lease has run out, and feeds its watchdog while the lease is held.
It guards what an agent with "guard: {enabled: true}" tells it to, and nothing before.
`;

/** The guard's words are few: a log that nobody reads must not hold it up. */
const say = (message: string, facts: Readonly<Record<string, unknown>> = {}) =>
  process.stderr.write(
    `${JSON.stringify({ time: Date.now(), name: 'weft-guard', msg: message, ...facts })}\n`,
  );

/** It is small, and the last that should be short of processor or memory. */
function takePrecedence(): void {
  try {
    setPriority(-20);
    writeFileSync('/proc/self/oom_score_adj', '-1000');
  } catch (error) {
    say('has no precedence over other programs', { why: String(error) });
  }
}

/** @returns how to look whether this guard may begin; it has asked another one at most once. */
function waitsItsTurn(folder: GuardFolder, takesOver: boolean): () => boolean {
  let told = '';
  return () => {
    const note = folder.read('guard');
    const another = note && note.pid !== process.pid && isAlive(note.pid, note.startTicks) ? note : null;
    const what = turn({
      nowMs: bootTimeMs(),
      lease: folder.read('lease'),
      isAnotherThere: another !== null,
      takesOver,
    });
    if (what === 'begin') return false;
    const word = `${what} ${another?.pid} ${another?.startTicks}`;
    if (word === told) return true;
    told = word;
    say(another ? 'another guard runs' : 'waits for a lease', another ? { pid: another.pid, what } : {});
    if (what === 'ask' && another) process.kill(another.pid, 'SIGTERM');
    return true;
  };
}

function main(): void {
  const { values } = parseArgs({
    options: {
      folder: { type: 'string', default: DEFAULT_GUARD_FOLDER },
      'take-over': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  takePrecedence();
  // Whoever read its words may end before it does.
  process.stderr.on('error', () => undefined);
  const watchdogClass = process.env.WEFT_WATCHDOG_CLASS;
  const folder = new GuardFolder(values.folder, readBootId());
  const guard = new Guard({
    folder,
    bootTimeMs,
    watchdogClass,
    // A folder that stands for sysfs stands for the hardware as well.
    isVirtualMachine: watchdogClass === undefined && isVirtualMachine(),
    say,
  });
  const isTooEarly = waitsItsTurn(folder, values['take-over']);
  let hasBegun = false;
  const leave = () => (hasBegun ? guard.leave() : process.exit(0));
  process.on('SIGTERM', leave).on('SIGINT', leave);
  let failure = '';
  const round = () => {
    let isOver = false;
    try {
      if (!hasBegun && !isTooEarly()) {
        hasBegun = true;
        say('guards', { folder: values.folder });
      }
      isOver = hasBegun && guard.round();
      failure = '';
    } catch (error) {
      // Nothing was fed that should not be; what was not done is done in the next round.
      if (failure !== String(error)) say('a round failed', { why: String(error) });
      failure = String(error);
    }
    if (isOver) process.exit(0);
    setTimeout(round, ROUND_MS);
  };
  round();
}

main();
