import { writeFile } from 'node:fs/promises';
import type { HypervisorDriver } from '../hypervisor/driver.ts';
import { WeftError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { RestartCause, VmGoal } from '../protocol/index.ts';
import { readLastOfConsole } from './console-tail.ts';
import type { AgentPaths } from './paths.ts';
import { LIFE_MS } from './restarts.ts';
import type { VmState } from './vm-state.ts';

export interface PostMortemDependencies {
  readonly driver: HypervisorDriver;
  readonly paths: AgentPaths;
  readonly log: Logger;
  readonly unreadyLimitMs: number;
  readonly readConsole?: typeof readLastOfConsole;
}

/** A machine that does not answer may still write; it is asked to stop before its plug is pulled. */
const GRACE_MS = 30_000;

/**
 * Keeps what can be kept of a guest that went down, crashed, hangs or is taken for dead, takes away what is left of its domain, and
 * notes the end in its state. A guest without a screen has its console alone.
 * @returns the failure of an instance that goes down again and again, with the end of its console; null: it is started again.
 */
export async function examine(
  { driver, paths, log, unreadyLimitMs, readConsole = readLastOfConsole }: PostMortemDependencies,
  vm: VmGoal,
  domain: string | null,
  cause: RestartCause,
  state: VmState,
): Promise<{ error: WeftError; consoleTail: string | null } | null> {
  const message = describe(cause, state, unreadyLimitMs);
  state.stopSupervision();
  const picture =
    domain !== null && SEEN.has(cause) && (await takePicture(driver, domain, paths.picture(vm.id), log));
  if (domain !== null && SEEN.has(cause)) {
    if (cause === 'unready' && vm.kind === 'machine') await driver.shutdownDomain(domain, GRACE_MS);
    await driver.removeDomain(domain);
  }
  const consoleTail = await readConsole(paths.consoleLog(vm.id)).catch(() => null);
  if (cause === 'reset') state.takenDown({ consoleTail, picture });
  else state.wentDown({ cause, message, consoleTail, picture });
  log.warn({ vm: vm.id, incarnation: vm.incarnation, cause, shortLives: state.restarts.shortLives }, message);
  if (vm.kind === 'machine' || !state.isLooping) return null;
  const error = new WeftError(
    'guest-crash-loop',
    `${vm.id} went down ${state.restarts.shortLives} times in a row before it was ready for ${LIFE_MS / 1000} s: ${message}`,
    {
      remedy:
        'The end of its console says what it did last; so may the host, if it goes down on that one alone.',
    },
  );
  return { error, consoleTail };
}

/** Ends after which something of the guest is still there to be seen. */
const SEEN: ReadonlySet<RestartCause> = new Set(['panic', 'hang', 'reset', 'unready']);

function describe(cause: RestartCause, state: VmState, unreadyLimitMs: number): string {
  switch (cause) {
    case 'panic':
      return 'its kernel panicked';
    case 'hang':
      return 'it hung: its watchdog was not fed';
    case 'power-off':
      return 'it powered itself off';
    case 'reset':
      return 'it reset itself';
    case 'killed':
      return 'its domain ended, and not by the guest’s doing';
    case 'lease':
      return 'this host had lost its lease: its guard stopped the machine';
    case 'unready': {
      const why = state.progress?.steps.find((step) => step.name === 'start')?.detail;
      return `it was not ready for ${Math.round(unreadyLimitMs / 1000)} s${why ? `: ${why}` : ''}`;
    }
  }
}

async function takePicture(
  driver: HypervisorDriver,
  domain: string,
  file: string,
  log: Logger,
): Promise<boolean> {
  try {
    const { data } = await driver.takeScreenshot(domain);
    await writeFile(file, data, { mode: 0o600 });
    return true;
  } catch (error) {
    if (WeftError.from(error).code !== 'not-supported')
      log.info({ err: error, domain }, 'no picture was taken');
    return false;
  }
}
