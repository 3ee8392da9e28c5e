import { WeftError } from '../../../agent/kit/errors.ts';
import type { Command } from '../context.ts';
import { json, seconds } from '../output.ts';
import { readRoleLog } from '../role-log.ts';

export const logs: Command = {
  usage: '<id>',
  summary: 'output of startup tasks and of the role’s process',
  options: [['--task <task>', 'only this one: startup-1, startup-2, …, or start, the role’s process']],
  async run(context, [id = ''], options) {
    const client = await context.client();
    const vm = await client.getVm(id);
    const { failure } = vm;
    const wantsRole = options.task === undefined || options.task === 'start';
    const role = wantsRole ? await readRoleLog(client, vm) : null;
    const tasks = role ? [...vm.tasks.filter((task) => task.name !== 'start'), role] : vm.tasks;
    const chosen = options.task === undefined ? tasks : tasks.filter((task) => task.name === options.task);
    if (options.task !== undefined && chosen.length === 0)
      throw new WeftError('not-found', `${id} has no task ${options.task}`, {
        remedy: `It has ${tasks.map((task) => task.name).join(', ') || 'none'}.`,
      });
    if (context.json) {
      context.print(json({ id, tasks: chosen, failure }));
      return 0;
    }
    for (const task of chosen) {
      const how = task.exitCode === null ? '' : `, exit code ${task.exitCode}`;
      context.say(
        `── ${task.name} (${task.kind}): ${task.status}${how}, ${seconds(task.ms)}, ${task.name === 'start' ? 'started' : 'try'} ${task.attempts}${task.name === 'start' ? '×' : ''}`,
      );
      context.print(task.output === '' || task.output.endsWith('\n') ? task.output : `${task.output}\n`);
    }
    if (chosen.length === 0) context.say(`${id} has no startup tasks and no process of its role`);
    if (failure?.consoleTail) context.say(`── end of the console\n${failure.consoleTail}`);
    return 0;
  },
};
