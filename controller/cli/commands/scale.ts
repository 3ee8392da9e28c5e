import { WeftError } from '../../../agent/kit/errors.ts';
import type { Command } from '../context.ts';
import { json } from '../output.ts';
import { parseTimeout, waitUntil } from '../wait.ts';

export const scale: Command = {
  usage: '<app/role=n>',
  summary: 'change the number of instances of a role',
  options: [
    ['--wait', 'until exactly so many are ready'],
    ['--timeout <duration>', 'how long to wait', '10m'],
  ],
  async run(context, [target = ''], options) {
    const [, app, role, count] = /^([^/=]+)\/([^/=]+)=(\d{1,6})$/.exec(target) ?? [];
    if (app === undefined || role === undefined)
      throw new WeftError('usage', `${target} is no APP/ROLE=N, for example crm/web=3`);
    const timeoutMs = parseTimeout(options.timeout);
    const client = await context.client();
    const instances = Number(count);
    const result = await client.scale(app, role, instances);
    context.say(`${app}: generation ${result.generation}, ${instances} of ${role}`);
    if (options.wait)
      await waitUntil(
        context,
        client,
        app,
        {
          what: `${instances} of ${app}/${role}`,
          isReached: (vms) => {
            const mine = [...vms.values()].filter((vm) => vm.role === role);
            return mine.length === instances && mine.every((vm) => vm.state === 'ready');
          },
        },
        timeoutMs,
      );
    if (context.json) context.print(json({ app, role, instances, ...result }));
    return 0;
  },
};
