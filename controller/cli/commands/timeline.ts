import type { Command } from '../context.ts';
import { json } from '../output.ts';
import { timelineTable } from '../timeline-table.ts';

export const timeline: Command = {
  usage: '<id>',
  summary: 'the provisioning steps of a VM, timed',
  async run(context, [id = '']) {
    const { steps, incarnation, host, state, createdAtMs, readyAtMs } = await (await context.client()).getVm(
      id,
    );
    if (context.json) {
      context.print(json({ id, incarnation, host, state, createdAtMs, readyAtMs, steps }));
      return 0;
    }
    context.print(`${id}, incarnation ${incarnation} on ${host ?? '-'}: ${state}\n`);
    context.print(timelineTable(steps));
    return 0;
  },
};
