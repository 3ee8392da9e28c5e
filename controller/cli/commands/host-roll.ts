import { WeftError } from '../../../agent/kit/errors.ts';
import type { Command } from '../context.ts';
import { json } from '../output.ts';
import { type RollOptions, rollOne, roundsOf } from '../roll.ts';
import { parseTimeout } from '../wait.ts';

export const hostRoll: Command = {
  usage: '[hosts...]',
  summary: 'boot hosts anew, one fault domain at a time, emptied first; stops at the first failure',
  options: [
    ['--with <program>', 'run this program with the host as its argument, instead of the agent’s reboot'],
    [
      '--cold',
      'machines on shared pools are stopped, to go on elsewhere, even where they could move while they run',
    ],
    ['--live', 'machines are never stopped for it: what cannot move while it runs stays'],
    ['--timeout <duration>', 'how long one host may take to be empty, and to be back', '30m'],
  ],
  async run(context, names, given) {
    const client = await context.client();
    const options: RollOptions = {
      program: typeof given.with === 'string' ? given.with : null,
      cold: given.cold === true,
      live: given.live === true,
      timeoutMs: parseTimeout(given.timeout),
    };
    const rounds = roundsOf(await client.listHosts(), names);
    const done: string[] = [];
    for (const hosts of rounds) {
      context.say(`round ${rounds.indexOf(hosts) + 1} of ${rounds.length}: ${hosts.join(', ')}`);
      try {
        await rollOne(context, client, hosts, options);
      } catch (thrown) {
        const error = WeftError.from(thrown);
        const rest = rounds.slice(rounds.indexOf(hosts)).flat();
        throw new WeftError(error.code, `the roll stops at ${hosts.join(', ')}: ${error.message}`, {
          remedy:
            `${error.remedy ?? ''} Done: ${done.join(', ') || 'none'}. They are left as they are; when it is mended: weft host undrain ${hosts.join('; weft host undrain ')}; then weft host roll ${rest.join(' ')}.`.trim(),
          cause: thrown,
        });
      }
      done.push(...hosts);
    }
    if (context.json) context.print(json({ rolled: done }));
    return 0;
  },
};
