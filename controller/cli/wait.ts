import { setTimeout as sleep } from 'node:timers/promises';
import { WeftError } from '../../agent/kit/errors.ts';
import type { VmRow, WeftClient } from '../client/index.ts';
import type { Context } from './context.ts';
import { seconds } from './output.ts';
import { createProgress, type Progress, type ProgressRow } from './progress.ts';

const DEFAULT_TIMEOUT = '10m';
const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const AGAIN_AFTER_MS = 500;
/** As a shell tells it of a program that SIGINT ended: 128 + 2. */
const INTERRUPTED_EXIT = 130;

/** @throws WeftError `usage` for what is no duration. */
export function parseTimeout(text: unknown): number {
  const [, figure, unit] = /^(\d+)(ms|s|m|h)$/.exec(String(text ?? DEFAULT_TIMEOUT)) ?? [];
  if (figure === undefined) throw new WeftError('usage', `${text} is no duration: write 30s, 10m or 1h`);
  return Number(figure) * UNITS[unit as keyof typeof UNITS];
}

export interface Wanted {
  readonly what: string;
  /** Looked at whenever something has changed. */
  isReached(vms: ReadonlyMap<string, VmRow>): boolean | Promise<boolean>;
}

/**
 * Follows the changes of an application until it is as wanted, telling each VM's steps on the way. A controller that goes
 * away is waited for: it forgets nothing. Ctrl-C ends the waiting only.
 * @throws WeftError `timeout`, with what every VM that is not ready is waiting for.
 */
export async function waitUntil(
  context: Context,
  client: WeftClient,
  app: string,
  wanted: Wanted,
  timeoutMs: number,
): Promise<void> {
  const vms = new Map<string, ProgressRow>();
  const progress = await createProgress(context, app);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  const onInterrupt = () => {
    void progress.end(false).then(() => {
      context.say(`No longer waiting; what was asked for goes on. See: weft ps ${app}`);
      process.exit(INTERRUPTED_EXIT);
    });
  };
  // Not once: what restores the cursor ends the process when nobody else listens.
  process.on('SIGINT', onInterrupt);
  let reached = false;
  try {
    while (!late.signal.aborted) {
      try {
        reached = await follow(client, app, wanted, { vms, progress, signal: late.signal });
        if (reached) return;
      } catch (error) {
        if (late.signal.aborted) break;
        if (WeftError.from(error).code !== 'host-unreachable') throw error;
      }
      if (late.signal.aborted) break;
      progress.note('the controller is away; waiting for it');
      await sleep(AGAIN_AFTER_MS);
    }
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', onInterrupt);
    await progress.end(reached);
  }
  throw tooLate(wanted, [...vms.values()], timeoutMs);
}

/** @returns true once it is as wanted; false when the controller ended the stream. */
async function follow(
  client: WeftClient,
  app: string,
  wanted: Wanted,
  { vms, progress, signal }: { vms: Map<string, ProgressRow>; progress: Progress; signal: AbortSignal },
): Promise<boolean> {
  const changes = client.followChanges(signal);
  vms.clear();
  let synced = false;
  for await (const { event, data } of changes) {
    if (event === 'vm') {
      const row = data as ProgressRow;
      if (!row.id.startsWith(`${app}/`)) continue;
      if (row.gone) vms.delete(row.id);
      else vms.set(row.id, row);
      if (synced) progress.tell(row);
      else progress.begin(row);
    }
    if (event === 'synced') synced = true;
    if (synced && (await wanted.isReached(vms))) return true;
  }
  return false;
}

function tooLate(wanted: Wanted, vms: readonly VmRow[], timeoutMs: number): WeftError {
  const waiting = vms.filter((vm) => vm.state !== 'ready');
  const reasons = waiting.map(
    (vm) => `\n  ${vm.id}: ${vm.state}${vm.failure ? `, ${vm.failure.message}` : ''}`,
  );
  return new WeftError(
    'timeout',
    `${wanted.what} did not come about within ${seconds(timeoutMs)}; it is still being worked on${reasons.join('')}`,
    {
      remedy: waiting[0] ? `See: weft why ${waiting[0].id}; weft timeline ${waiting[0].id}` : 'See: weft ps',
    },
  );
}
