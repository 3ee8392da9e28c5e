import type { Command } from '../context.ts';
import { livenessNotes } from '../liveness-notes.ts';
import { json, paintState, seconds, table } from '../output.ts';

export const hostLs: Command = {
  usage: '',
  summary: 'hosts, what they offer, and what an operator should know of them',
  async run(context) {
    const rows = await (await context.client()).listHosts();
    if (context.json) {
      context.print(json(rows));
      return 0;
    }
    context.print(
      table(
        ['host', 'state', 'fault domain', 'cpus', 'memory', 'vms', 'accelerator', 'heard'],
        rows.map((row) => [
          row.name,
          paintState(row.state),
          row.faultDomain,
          row.cpus,
          row.memoryMiB === null ? null : `${row.memoryMiB} MiB`,
          row.vms,
          row.accelerator,
          row.lastSeenMs === null ? null : `${seconds(Date.now() - row.lastSeenMs)} ago`,
        ]),
      ),
    );
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

const drain = (draining: boolean, summary: string): Command => ({
  usage: '<host>',
  summary,
  async run(context, [host = '']) {
    await (await context.client()).drainHost(host, draining);
    context.say(
      draining
        ? `${host}: its instances move away one at a time, machines stay with their disks. Follow it with: weft ps`
        : `${host}: takes VMs again`,
    );
    if (context.json) context.print(json({ host, draining }));
    return 0;
  },
});
export const hostDrain = drain(true, 'move instances away and place no new ones');
export const hostUndrain = drain(false, 'end draining');

export const hostRm: Command = {
  usage: '<host>',
  summary: 'remove a host that is down and empty',
  async run(context, [host = '']) {
    await (await context.client()).removeHost(host);
    context.say(`${host}: removed; its certificate is not accepted any more`);
    if (context.json) context.print(json({ removed: host }));
    return 0;
  },
};
