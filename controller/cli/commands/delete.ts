import type { Command } from '../context.ts';
import { json } from '../output.ts';
import { parseTimeout, waitUntil } from '../wait.ts';

export const deleteCommand: Command = {
  usage: '<app>',
  summary: 'delete an application with all its VMs and disks, or one machine (app/machine)',
  options: [
    ['--wait', 'until nothing of it is left'],
    ['--timeout <duration>', 'how long to wait', '10m'],
  ],
  async run(context, [target = ''], options) {
    const timeoutMs = parseTimeout(options.timeout);
    const client = await context.client();
    const [app = ''] = target.split('/');
    const isMachine = target.includes('/');
    if (isMachine) await client.deleteMachine(target);
    else await client.deleteApplication(target);
    if (!options.wait) context.say(`${target}: is being deleted. Follow it with: weft ps`);
    if (options.wait)
      await waitUntil(
        context,
        client,
        app,
        {
          what: `${target} gone`,
          isReached: async (vms) =>
            isMachine
              ? !vms.has(target)
              : vms.size === 0 && !(await client.listApplications()).some((row) => row.name === app),
        },
        timeoutMs,
      );
    if (context.json) context.print(json({ deleted: target }));
    return 0;
  },
};
