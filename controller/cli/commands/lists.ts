import type { Command } from '../context.ts';
import { json, paintState, seconds, table } from '../output.ts';

export const ls: Command = {
  usage: '',
  summary: 'applications',
  async run(context) {
    const rows = await (await context.client()).listApplications();
    if (context.json) context.print(json(rows));
    else
      context.print(
        table(
          ['application', 'generation', 'ready', 'vms', 'roles', 'machines'],
          rows.map((row) => [
            row.deleting ? `${row.name} (deleting)` : row.name,
            row.generation,
            row.ready,
            row.vms,
            Object.entries(row.roles)
              .map(([role, count]) => `${role}×${count}`)
              .join(' '),
            row.machines.join(' '),
          ]),
        ),
      );
    return 0;
  },
};

export const ps: Command = {
  usage: '[app]',
  summary: 'VMs: instances and machines',
  async run(context, [app]) {
    const rows = await (await context.client()).listVms(app);
    if (context.json) context.print(json(rows));
    else
      context.print(
        table(
          ['id', 'kind', 'state', 'host', 'address', 'image', 'incarnation', 'since'],
          rows.map((row) => [
            row.id,
            row.kind,
            paintState(row.state),
            row.successor ? `${row.host} → ${row.successor.host}` : row.host,
            row.address,
            row.image,
            row.incarnation,
            seconds(Date.now() - row.sinceMs),
          ]),
        ),
      );
    return 0;
  },
};
