import { WeftError } from '../../../agent/kit/errors.ts';
import type { Command } from '../context.ts';
import { json, paint, printRows, seconds } from '../output.ts';

export const hostConfirmDead: Command = {
  usage: '<host>',
  summary: 'sign that a host that is down is dead: its machines on shared pools restart elsewhere',
  options: [['--yes', 'I have made sure that it is off']],
  async run(context, [host = ''], options) {
    if (options.yes !== true)
      throw new WeftError(
        'usage',
        `with this you sign that host ${host} is off and stays off. Its machines on shared pools are then started on other hosts. If it still runs, two copies of a machine write to one disk and destroy it`,
        {
          remedy: `Go and look: pull its power, or see its console dead. Then: weft host confirm-dead ${host} --yes`,
        },
      );
    await (await context.client()).confirmDead(host);
    context.say(`${host}: signed. Its machines on shared pools go on elsewhere; follow it with: weft events`);
    if (context.json) context.print(json({ host, confirmedDead: true }));
    return 0;
  },
};

export const hostFenceTest: Command = {
  usage: '<host>',
  summary: 'ask each fence device of a host for the power; changes nothing',
  async run(context, [host = '']) {
    const tests = await (await context.client()).fenceTest(host);
    printRows(
      context,
      tests,
      ['device', 'result', 'power', 'took', 'it says'],
      ({ device, ok, power, message, ms }) => [
        device,
        ok ? paint('green', 'works') : paint('red', 'fails'),
        power,
        seconds(ms),
        message,
      ],
    );
    return tests.every(({ ok }) => ok) ? 0 : 1;
  },
};
