import type { WeftClient } from '../../client/index.ts';
import type { Command } from '../context.ts';
import { json } from '../output.ts';

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

export const move = action(
  'make an instance on another host, then remove it here; a machine on a shared pool with --cold',
  'goes to another host',
  (client, id, { to, cold }) =>
    client.moveVm(id, { ...(typeof to === 'string' ? { to } : {}), cold: cold === true }),
  [
    ['--to <host>', 'which host; default: the best other one'],
    ['--cold', 'a machine may be stopped for it'],
  ],
);
