import { randomUUID } from 'node:crypto';
import { constants } from 'node:os';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { HostRow, RollRow } from '../../client/index.ts';
import type { Command, Context } from '../context.ts';
import { LEAVING_OPTIONS } from '../leaving-options.ts';
import { json } from '../output.ts';
import { type RollOptions, rollOne, roundsOf } from '../roll.ts';
import { describeUnfinished, type UnfinishedRoll, unfinishedRoll } from '../unfinished-roll.ts';
import { parseTimeout } from '../wait.ts';

export const hostRoll: Command = {
  usage: '[hosts...]',
  summary:
    'boot hosts anew, one fault domain at a time, emptied first; stops at the first failure, and goes on where it was',
  options: [
    ['--with <program>', 'run this program with the host as its argument, instead of the agent’s reboot'],
    ...LEAVING_OPTIONS,
    ['--anew', 'begin with the first host, although a roll was not finished'],
    ['--timeout <duration>', 'how long one host may take to be empty, and to be back', '30m'],
  ],
  async run(context, names, given) {
    const client = await context.client();
    const rows = await client.listHosts();
    const before = unfinishedRoll(rows);
    const goesOn = names.length === 0 && given.anew !== true ? before : null;
    tellOfBefore(context, before, goesOn);
    const rounds = roundsOf(rows, goesOn?.left ?? names, goesOn?.atHand);
    const roll: RollRow = goesOn?.roll ?? {
      id: `${new Date().toISOString()} ${randomUUID().slice(0, 8)}`,
      hosts: rounds.flat(),
    };
    const options: RollOptions = {
      roll,
      program: typeof given.with === 'string' ? given.with : null,
      cold: given.cold === true,
      live: given.live === true,
      copyStorage: given.copyStorage === true,
      timeoutMs: parseTimeout(given.timeout),
    };
    const done: string[] = [...(goesOn?.done ?? [])];
    let atHand: readonly string[] = [];
    const stopListening = onSignal(() => context.say(howToGoOn(atHand)));
    try {
      for (const hosts of rounds) {
        context.say(`round ${rounds.indexOf(hosts) + 1} of ${rounds.length}: ${hosts.join(', ')}`);
        atHand = hosts;
        await rollOne(context, client, hosts, options);
        atHand = [];
        done.push(...hosts);
      }
    } catch (thrown) {
      const error = WeftError.from(thrown);
      throw new WeftError(error.code, `the roll stops at ${atHand.join(', ')}: ${error.message}`, {
        remedy: `${error.remedy ?? ''} Done: ${done.join(', ') || 'none'}. ${howToGoOn(atHand)}`.trim(),
        cause: thrown,
      });
    } finally {
      stopListening();
    }
    tellOfDrained(context, await client.listHosts());
    if (context.json) context.print(json({ rolled: done }));
    return 0;
  },
};

function tellOfBefore(context: Context, before: UnfinishedRoll | null, goesOn: UnfinishedRoll | null): void {
  if (goesOn) context.say(`going on with ${describeUnfinished(goesOn)}. To begin with the first: --anew`);
  else if (before) context.say(`not finished: ${describeUnfinished(before)}`);
}

/** Hosts that another roll has left. */
function tellOfDrained(context: Context, rows: readonly HostRow[]): void {
  for (const { name, roll } of rows)
    if (roll)
      context.say(
        `${name} is still drained, by a roll begun ${roll.id.slice(0, 19)}: weft host undrain ${name}`,
      );
}

const howToGoOn = (hosts: readonly string[]): string =>
  hosts.length === 0
    ? 'No host is drained for it. To go on: weft host roll.'
    : `${hosts.join(', ')} ${hosts.length === 1 ? 'is' : 'are'} left as ${hosts.length === 1 ? 'it is' : 'they are'}, drained. To go on there: weft host roll. Or let ${hosts.length === 1 ? 'it' : 'them'} take VMs again: weft host undrain ${hosts.join('; weft host undrain ')}.`;

/** Whoever ends the command is told what it leaves. @returns what ends this. */
function onSignal(tell: () => void): () => void {
  const end = (signal: 'SIGINT' | 'SIGTERM') => {
    tell();
    process.exit(128 + constants.signals[signal]);
  };
  process.once('SIGINT', end).once('SIGTERM', end);
  return () => void process.off('SIGINT', end).off('SIGTERM', end);
}
