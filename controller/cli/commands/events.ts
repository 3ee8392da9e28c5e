import { setTimeout as sleep } from 'node:timers/promises';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { EventRow, WeftClient } from '../../client/index.ts';
import type { Command, Context } from '../context.ts';
import { json, moment, paint } from '../output.ts';

const AGAIN_AFTER_MS = 1_000;

const line = (event: EventRow) =>
  `${moment(event.atMs)}  ${paint('dim', event.kind.padEnd(19))} ${event.subject.padEnd(20)} ${event.message}\n`;

export const events: Command = {
  usage: '[subject]',
  summary: 'the event log, of an application, app/role, VM or host where one is given',
  options: [['--follow', 'and what is yet to happen (with --json: one document a line); Ctrl-C ends it']],
  async run(context, [subject = null], options) {
    const client = await context.client();
    if (options.follow) return followForEver(context, client, subject);
    const rows = await client.listEvents(0, subject);
    if (rows.length === 0 && subject !== null) context.say(`no event is about ${subject}`);
    context.print(context.json ? json(rows) : rows.map(line).join(''));
    return 0;
  },
};

/** A controller that goes away is waited for, and asked for what was missed. @throws WeftError when it is not there at first. */
async function followForEver(context: Context, client: WeftClient, subject: string | null): Promise<never> {
  let last: number | null = null;
  let away = false;
  for (;;) {
    try {
      for await (const { event, data } of client.followEvents(last ?? 0, subject)) {
        away = false;
        if (event !== 'log') continue;
        const row = data as EventRow;
        last = row.sequence;
        context.print(context.json ? `${JSON.stringify(row)}\n` : line(row));
      }
      last ??= 0;
    } catch (error) {
      if (last === null || WeftError.from(error).code !== 'host-unreachable') throw error;
    }
    if (!away) context.say('the controller is away; waiting for it');
    away = true;
    await sleep(AGAIN_AFTER_MS);
  }
}
