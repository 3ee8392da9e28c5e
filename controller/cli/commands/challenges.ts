import { setTimeout as sleep } from 'node:timers/promises';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { ChallengeRow } from '../../client/index.ts';
import type { Command } from '../context.ts';
import { json, moment, printRows } from '../output.ts';
import { parseTimeout } from '../wait.ts';

const LOOK_AGAIN_MS = 200;
/** For addresses that no edge host has yet: they may be another application's, which is no reason to fail. */
const ADDRESSES_WITHIN_MS = 15_000;

export const challengeLs: Command = {
  usage: '',
  summary: 'what ACME servers are answered by HTTP-01, and where',
  isDefault: true,
  async run(context) {
    const rows = await (await context.client()).listChallenges();
    printRows(context, rows, ['token', 'until', 'answered by', 'not yet by', 'at'], (row) => [
      row.token,
      moment(row.untilMs),
      hostsOf(row, true).join(' ') || null,
      hostsOf(row, false).join(' ') || null,
      row.endpoints.join(' ') || null,
    ]);
    return 0;
  },
};

export const challengePut: Command = {
  usage: '<token> <authorization>',
  summary: 'answer an ACME server that asks for this token; ends when all edge hosts do',
  options: [['--timeout <duration>', 'how long to wait for them', '1m']],
  async run(context, [token = '', authorization = ''], options) {
    const timeoutMs = parseTimeout(options.timeout);
    const client = await context.client();
    const sinceMs = Date.now();
    const mayLack = () => Date.now() - sinceMs > Math.min(timeoutMs, ADDRESSES_WITHIN_MS);
    const isDone = ({ hosts, awaited }: ChallengeRow) =>
      hosts.length > 0 && hosts.every(({ answers }) => answers) && (awaited.length === 0 || mayLack());
    let row: ChallengeRow | undefined = await client.putChallenge(token, authorization);
    while (row && !isDone(row)) {
      if (Date.now() - sinceMs > timeoutMs) throw late(row);
      await sleep(LOOK_AGAIN_MS);
      row = (await client.listChallenges()).find((each) => each.token === token);
    }
    if (!row) throw new WeftError('conflict', 'this challenge was removed meanwhile');
    for (const address of row.awaited) context.say(`${token}: no edge host has ${address} yet`);
    if (context.json) context.print(json(row));
    else
      context.say(`${token}: answered by ${hostsOf(row, true).join(', ')}, at ${row.endpoints.join(', ')}`);
    return 0;
  },
};

export const challengeRm: Command = {
  usage: '<token>',
  summary: 'answer it no more',
  async run(context, [token = '']) {
    const { removed } = await (await context.client()).removeChallenge(token);
    context.say(removed === false ? `${token}: there was no such challenge` : `${token}: removed`);
    if (context.json) context.print(json({ removed: removed === false ? null : token }));
    return 0;
  },
};

const hostsOf = ({ hosts }: ChallengeRow, answers: boolean): readonly string[] =>
  hosts.filter((each) => each.answers === answers).map(({ host }) => host);

function late(row: ChallengeRow): WeftError {
  const waiting = hostsOf(row, false);
  return new WeftError(
    'timeout',
    waiting.length === 0
      ? 'no edge host is up, so nobody answers this challenge'
      : `this challenge is not answered yet by ${waiting.join(', ')}`,
    { remedy: 'See: weft ps --endpoints; weft host ls' },
  );
}
