import { setTimeout as sleep } from 'node:timers/promises';
import { WeftError } from '../../agent/kit/errors.ts';
import type { DrainRow, WeftClient } from '../client/index.ts';
import type { Context } from './context.ts';
import { seconds } from './output.ts';

const LOOK_EVERY_MS = 1_000;

/**
 * Waits until nothing is left on a host, and tells how far it is whenever that changes.
 * @throws WeftError `conflict` when what is left waits for an operator, or the drain was ended; `timeout`.
 */
export async function waitUntilEmpty(
  context: Context,
  client: WeftClient,
  host: string,
  timeoutMs: number,
): Promise<DrainRow> {
  const untilMs = Date.now() + timeoutMs;
  let told = '';
  for (;;) {
    const progress = await look(client, host);
    if (progress) {
      const lines = describeDrain(progress).join('\n');
      // How long something takes is no news.
      const news = lines.replace(/, for \d+ s/g, '');
      if (news !== told) context.say(lines);
      told = news;
      if (progress.mode === 'maintenance' && progress.state === 'up') return progress;
      refuseToWait(progress);
    }
    if (Date.now() >= untilMs)
      throw new WeftError(
        'timeout',
        `${host} was not empty within ${seconds(timeoutMs)}; it goes on\n${told}`,
        {
          remedy: `Follow it with: weft host drain ${host} --wait. End it with: weft host undrain ${host}.`,
        },
      );
    await sleep(LOOK_EVERY_MS);
  }
}

/** `h1: 2 of 5 left`, then a line for each of them. */
export function describeDrain({ host, mode, total, left }: DrainRow): readonly string[] {
  if (mode === 'maintenance') return [`${host}: empty, in maintenance`];
  return [`${host}: ${left.length} of ${total} left`, ...left.map(({ id, reason }) => `  ${id}: ${reason}`)];
}

/** A controller that is away for a moment is waited for. */
async function look(client: WeftClient, host: string): Promise<DrainRow | null> {
  try {
    return await client.drainProgress(host);
  } catch (error) {
    if (WeftError.from(error).code !== 'host-unreachable') throw error;
    return null;
  }
}

function refuseToWait({ host, asked, left }: DrainRow): void {
  if (!asked)
    throw new WeftError('conflict', `${host} does not drain any more: somebody ended it`, {
      remedy: `Begin again with: weft host drain ${host}.`,
    });
  if (left.length === 0 || left.some(({ waitsFor }) => waitsFor !== 'operator')) return;
  throw new WeftError(
    'conflict',
    `${host} is not empty, and nothing more leaves it by itself: ${left.map(({ id, reason }) => `${id} ${reason}`).join('; ')}`,
    {
      remedy: `Do what is said above, then: weft host drain ${host} --wait. Or end it: weft host undrain ${host}.`,
    },
  );
}
