import { setTimeout as sleep } from 'node:timers/promises';
import { WeftError } from '../../agent/kit/errors.ts';
import type { LastMoveRow, VmDetail, WeftClient } from '../client/index.ts';
import { seconds } from './output.ts';

const LOOK_EVERY_MS = 500;

type Moving = Pick<
  VmDetail,
  'id' | 'host' | 'incarnation' | 'state' | 'successor' | 'stay' | 'lastMove' | 'placement'
> &
  Partial<Pick<VmDetail, 'moveTo' | 'moveWait'>>;

/**
 * Waits until a VM that was asked to move is ready elsewhere, or stays.
 * @param before as it was then. @param say told of each reason for which the move has not begun. @throws WeftError `timeout`.
 */
export async function waitUntilMoved(
  client: Pick<WeftClient, 'getVm'>,
  before: Moving,
  timeoutMs: number,
  say: (line: string) => void = () => undefined,
): Promise<Moving> {
  const untilMs = Date.now() + timeoutMs;
  let told: string | null = null;
  for (;;) {
    const vm: Moving = await client.getVm(before.id);
    const isThere = vm.host !== before.host && vm.state === 'ready';
    const stays = vm.host === before.host && !vm.moveTo && !vm.successor;
    if (isThere || stays) return vm;
    const reason = (vm.moveTo && vm.moveWait?.reason) || null;
    if (reason !== null && reason !== told) say(`${vm.id}: waits: ${reason}`);
    told = reason;
    if (Date.now() >= untilMs)
      throw new WeftError('timeout', `${before.id} had not moved within ${seconds(timeoutMs)}; it goes on`, {
        remedy: `Follow it with: weft ps. End it with: weft move ${before.id} --abort.`,
      });
    await sleep(LOOK_EVERY_MS);
  }
}

/** What came of it, for a person to read. @param before as it was when it was asked. */
export function describeMove(before: Pick<Moving, 'host' | 'lastMove'>, vm: Moving): readonly string[] {
  if (vm.host === before.host) {
    const why = vm.stay?.message ?? whyRefused(vm);
    return [`${vm.id}: stays on ${vm.host}${why === null ? '' : `: ${why}`}`];
  }
  const isLive = vm.lastMove != null && vm.lastMove.atMs !== before.lastMove?.atMs;
  return [`${vm.id}: ready on ${vm.host}`, ...(isLive ? [`  ${lastMoveText(vm.lastMove)}`] : [])];
}

/** Null: the last time that a host was looked for, one took it. */
const whyRefused = ({ placement }: Pick<Moving, 'placement'>): string | null =>
  !placement || placement.chosen !== null
    ? null
    : `no other host takes it: ${placement.hosts.map(({ host, reasons }) => `${host}: ${reasons.join(', ')}`).join('; ')}`;

export function lastMoveText({ from, to, downtimeMs, totalMs }: LastMoveRow): string {
  const took =
    downtimeMs === null || totalMs === null
      ? ''
      : `: it stood still for ${downtimeMs} ms, and all of it took ${totalMs} ms`;
  return `moved from ${from} to ${to} while it ran${took}`;
}
