import { type BackOff, backOffMs } from '../../agent/kit/back-off.ts';
import { type Clock, systemClock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { type ExecOptions, type ExecResult, exec } from '../../agent/kit/exec.ts';

/** What apt's programs say when another one has the lock, or is about to replace the lists or the cache that they read. */
const BUSY =
  /[Cc]ould not get lock|[Uu]nable to (?:acquire|lock)|is another process using it|temporarily unavailable|cache file is corrupted|cache (?:file is an incompatible|was built for)|(?:lists|status file|cache) (?:or status file )?could not be (?:parsed|opened)|[Cc]ould not open file \/var\/lib\/apt|Problem (?:opening|parsing|with MergeList) .*\/var\/lib/;
const AGAIN: BackOff = { firstMs: 1_000, maximumMs: 15_000, factor: 2 };
const LIMIT_MS = 600_000;

export interface AptOptions extends ExecOptions {
  /** Is told when there is something to wait for. */
  readonly say?: (line: string) => void;
}

/** Runs a program of apt's, and waits while another one of this machine is in its way. @throws WeftError as `exec`; `timeout` after ten minutes. */
export const apt = (program: 'apt-get' | 'apt-cache', args: readonly string[], options: AptOptions = {}) =>
  whileBusy(`${program} ${args[0] ?? ''}`, () => exec(program, args, options), options, systemClock);

/** Tries again while what is thrown says that another apt is at work, or holds everything up for longer than a program may take. */
export async function whileBusy(
  what: string,
  attempt: () => Promise<ExecResult>,
  { say, signal }: Pick<AptOptions, 'say' | 'signal'>,
  clock: Clock,
): Promise<ExecResult> {
  const untilMs = clock.now() + LIMIT_MS;
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = WeftError.from(thrown);
      if (!isBusy(error) || signal?.aborted) throw error;
      if (clock.now() >= untilMs)
        throw new WeftError('timeout', `another apt is in the way of ${what}: ${error.message}`, {
          remedy: 'Wait until it is done (see: ps -C apt,apt-get,dpkg,unattended-upgr), and try again.',
          cause: error,
        });
      if (failures === 1) say?.(`waiting: another apt is at work on this machine (${what})`);
      await clock.sleep(backOffMs(AGAIN, failures), signal);
    }
  }
}

const isBusy = ({ code, message }: WeftError): boolean =>
  code === 'timeout' || (code === 'command-failed' && BUSY.test(message));
