import type { WeftClient } from '../../client/index.ts';
import type { Command } from '../context.ts';
import { describeMove, waitUntilMoved } from '../move-wait.ts';
import { json } from '../output.ts';
import { parseTimeout } from '../wait.ts';

const action = (
  summary: string,
  asked: string,
  act: (client: WeftClient, id: string, options: Readonly<Record<string, unknown>>) => Promise<unknown>,
  options: NonNullable<Command['options']> = [],
): Command => ({
  usage: '<id>',
  summary,
  options,
  async run(context, [id = ''], given) {
    await act(await context.client(), id, given);
    context.say(`${id}: ${asked}. Follow it with: weft ps`);
    if (context.json) context.print(json({ id }));
    return 0;
  },
});

export const reboot = action('reboot a VM; its overlay stays', 'will be rebooted', (client, id) =>
  client.rebootVm(id),
);

export const reimage = action(
  'make an instance anew on the same host; its overlay is discarded',
  'will be made anew on its host',
  (client, id) => client.reimageVm(id),
);

export const move: Command = {
  usage: '<id>',
  summary:
    'make an instance on another host, then remove it here; a machine on a shared pool goes there while it runs, one on a local pool with --copy-storage',
  options: [
    ['--to <host>', 'which host; default: the best other one'],
    ['--cold', 'a machine is stopped for it; default: only where it cannot move while it runs'],
    ['--live', 'a machine is never stopped for it: where it cannot move while it runs, it stays'],
    [
      '--copy-storage',
      'a machine on a local pool goes there as well, while it runs: its disk is copied along',
    ],
    ['--abort', 'end a move that was asked for, as far as it is not done'],
    ['--wait', 'until it is there, or stays'],
    ['--timeout <duration>', 'how long to wait', '30m'],
  ],
  async run(context, [id = ''], given) {
    const timeoutMs = parseTimeout(given.timeout);
    const client = await context.client();
    if (given.abort === true) {
      await client.abortMove(id);
      context.say(`${id}: stays where it is, unless it is there already. See: weft ps`);
      if (context.json) context.print(json({ id }));
      return 0;
    }
    const before = await client.getVm(id);
    await client.moveVm(id, {
      ...(typeof given.to === 'string' ? { to: given.to } : {}),
      ...{ cold: given.cold === true, live: given.live === true, copyStorage: given.copyStorage === true },
    });
    if (given.wait !== true) {
      context.say(`${id}: goes to another host. Follow it with: weft ps`);
      if (context.json) context.print(json({ id }));
      return 0;
    }
    const moved = await waitUntilMoved(client, before, timeoutMs, (line) => context.say(line));
    for (const line of describeMove(before, moved)) context.say(line);
    if (context.json) context.print(json({ id, host: moved.host, lastMove: moved.lastMove ?? null }));
    return moved.host === before.host ? 1 : 0;
  },
};
