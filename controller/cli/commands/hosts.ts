import type { Command } from '../context.ts';
import { livenessNotes } from '../liveness-notes.ts';
import { json, paintState, printRows, seconds } from '../output.ts';

export const hostLs: Command = {
  usage: '',
  summary: 'hosts, what they offer, and what an operator should know of them',
  async run(context) {
    const rows = await (await context.client()).listHosts();
    printRows(
      context,
      rows,
      ['host', 'state', 'fault domain', 'cpus', 'memory', 'vms', 'accelerator', 'heard'],
      (row) => [
        row.name,
        paintState(row.state),
        row.faultDomain,
        row.cpus,
        row.memoryMiB === null ? null : `${row.memoryMiB} MiB`,
        row.vms,
        row.accelerator,
        row.lastSeenMs === null ? null : `${seconds(Date.now() - row.lastSeenMs)} ago`,
      ],
    );
    if (context.json) return 0;
    for (const row of rows)
      for (const note of [...livenessNotes(row, Date.now()), ...row.notes])
        context.say(`${row.name}: ${note}`);
    return 0;
  },
};

export const hostToken: Command = {
  usage: '',
  summary: 'a one-use token with which a host joins, good for an hour',
  options: [['--label <text>', 'what it is for']],
  async run(context, _args, options) {
    const label = typeof options.label === 'string' ? options.label : '';
    const answer = await (await context.client()).createHostToken({ label });
    context.print(context.json ? json(answer) : `${answer.token}\n`);
    return 0;
  },
};

export const hostRm: Command = {
  usage: '<host>',
  summary: 'remove a host that is empty: in maintenance, or down',
  options: [['--force', 'also one that is proven dead and alone has disks of machines; they are lost']],
  async run(context, [host = ''], options) {
    await (await context.client()).removeHost(host, { force: options.force === true });
    context.say(`${host}: removed; its certificate is not accepted any more`);
    if (context.json) context.print(json({ removed: host }));
    return 0;
  },
};
