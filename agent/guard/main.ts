import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parseArgs } from 'node:util';
import { bootTimeMs, readBootId } from './boot-time.ts';
import { Guard } from './guard.ts';
import { DEFAULT_GUARD_FOLDER, GuardFolder } from './notes.ts';
import { isVirtualMachine } from './watchdog.ts';

const ROUND_MS = 500;
const USAGE = `usage: weft-guard [--folder FOLDER]

  --folder FOLDER   where the agent of this host writes what is to be guarded, default ${DEFAULT_GUARD_FOLDER}

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

function main(): void {
  const { values } = parseArgs({
    options: {
      folder: { type: 'string', default: DEFAULT_GUARD_FOLDER },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  takePrecedence();
  const watchdogClass = process.env.WEFT_WATCHDOG_CLASS;
  const guard = new Guard({
    folder: new GuardFolder(values.folder, readBootId()),
    bootTimeMs,
    watchdogClass,
    // A folder that stands for sysfs stands for the hardware as well.
    isVirtualMachine: watchdogClass === undefined && isVirtualMachine(),
    say,
  });
  process.on('SIGTERM', () => guard.leave()).on('SIGINT', () => guard.leave());
  say('guards', { folder: values.folder });
  let failure = '';
  const round = () => {
    let isOver = false;
    try {
      isOver = guard.round();
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
