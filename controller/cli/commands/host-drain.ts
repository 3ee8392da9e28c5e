import type { Command } from '../context.ts';
import { describeDrain, waitUntilEmpty } from '../drain-wait.ts';
import { LEAVING_OPTIONS } from '../leaving-options.ts';
import { json } from '../output.ts';
import { parseTimeout } from '../wait.ts';

export const hostDrain: Command = {
  usage: '<host>',
  summary: 'empty a host: its instances are made elsewhere first; nothing new is placed on it',
  options: [
    ...LEAVING_OPTIONS,
    ['--wait', 'until nothing is left on it'],
    ['--timeout <duration>', 'how long to wait', '30m'],
  ],
  async run(context, [host = ''], options) {
    const timeoutMs = parseTimeout(options.timeout);
    const client = await context.client();
    await client.drainHost(host, {
      cold: options.cold === true,
      live: options.live === true,
      copyStorage: options.copyStorage === true,
    });
    const progress = options.wait
      ? await waitUntilEmpty(context, client, host, timeoutMs)
      : await client.drainProgress(host);
    if (!options.wait) {
      for (const line of describeDrain(progress)) context.say(line);
      context.say(`Follow it with: weft host drain ${host} --wait. End it with: weft host undrain ${host}`);
    }
    if (context.json) context.print(json(progress));
    return 0;
  },
};

export const hostUndrain: Command = {
  usage: '<host>',
  summary: 'end draining, wherever it is: the host takes VMs again',
  async run(context, [host = '']) {
    await (await context.client()).undrainHost(host);
    context.say(`${host}: takes VMs again; what was in the making elsewhere and not ready is dropped`);
    if (context.json) context.print(json({ host, draining: false }));
    return 0;
  },
};
