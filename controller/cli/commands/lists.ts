import type { Command } from '../context.ts';
import { showEndpoints } from '../endpoint-list.ts';
import { paintState, printRows, seconds } from '../output.ts';

export const ls: Command = {
  usage: '',
  summary: 'applications',
  async run(context) {
    const rows = await (await context.client()).listApplications();
    printRows(context, rows, ['application', 'generation', 'ready', 'vms', 'roles', 'machines'], (row) => [
      row.deleting ? `${row.name} (deleting)` : row.name,
      row.generation,
      row.ready,
      row.vms,
      Object.entries(row.roles)
        .map(([role, count]) => `${role}×${count}`)
        .join(' '),
      row.machines.join(' '),
    ]);
    return 0;
  },
};

export const ps: Command = {
  usage: '[app]',
  summary: 'VMs: instances and machines; or what of an application the world may reach',
  options: [['--endpoints', 'published endpoints: where, who serves them, and how much']],
  async run(context, [app], { endpoints }) {
    if (endpoints === true) return showEndpoints(context, app);
    const client = await context.client();
    const rows = await client.listVms(app);
    // One that is there may have no VM, and one that is going away some yet. What there is not is refused.
    if (app !== undefined && rows.length === 0) await client.getApplication(app);
    printRows(
      context,
      rows,
      ['id', 'kind', 'state', 'host', 'address', 'image', 'incarnation', 'since'],
      (row) => [
        row.id,
        row.kind,
        paintState(row.state),
        row.successor
          ? `${row.host} → ${row.successor.host}`
          : row.moveWait
            ? `${row.host} (its move waits)`
            : row.host,
        row.address,
        row.image,
        row.incarnation,
        seconds(Date.now() - row.sinceMs),
      ],
    );
    return 0;
  },
};
