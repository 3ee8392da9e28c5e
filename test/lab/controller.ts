import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WeftError } from '../../agent/kit/errors.ts';
import { program } from './build.ts';
import { controllerAddress, type Layout, REPOSITORY } from './layout.ts';
import { recordProcess } from './processes.ts';
import { spawnDetached } from './spawn.ts';
import type { LabState, ProcessRecord } from './state.ts';

export const usersPort = 7700;
export const agentsPort = 7701;
export const controllerPidFile = (layout: Layout) => join(layout.folder, 'controller.pid');

/** Starts the lab's controller under a supervisor, on the lab's bridge. Resolves when it has written its client configuration and listens. */
export async function startController(
  layout: Layout,
  lab: LabState,
  more: readonly string[],
): Promise<ProcessRecord> {
  const address = controllerAddress(lab.number);
  const log = join(layout.folder, 'controller.log');
  const pid = spawnDetached(
    join(REPOSITORY, 'test/lab/supervise.sh'),
    [
      ...[controllerPidFile(layout), log, ...program('controller/main')],
      ...[
        '--state',
        layout.controllerState,
        '--listen',
        `${address}:${usersPort}`,
        '--agents',
        `${address}:${agentsPort}`,
      ],
      ...['--write-client-config', layout.clientConfig, ...more],
    ],
    log,
    { WEFT_LAB: layout.name },
  );
  return recordProcess(pid);
}

export async function waitForFile(file: string, what: string, log: string, limitMs = 60_000): Promise<void> {
  for (let waitedMs = 0; waitedMs < limitMs; waitedMs += 50) {
    if ((await readFile(file).catch(() => null)) !== null) return;
    await sleep(50);
  }
  const tail = (await readFile(log, 'utf8').catch(() => '')).split('\n').slice(-15).join('\n');
  throw new WeftError('timeout', `${what} did not come up within ${limitMs} ms:\n${tail}`);
}
