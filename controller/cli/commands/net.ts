import { isIP } from 'node:net';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { WhyAnswer } from '../../client/types.ts';
import { connectionOf } from '../connection.ts';
import type { Command } from '../context.ts';
import { countersText, edgesText } from '../counters-text.ts';
import { runInGuest } from '../guest-command.ts';
import { dot, mermaid, networkText } from '../network-text.ts';
import { json, paint } from '../output.ts';
import { OUTCOME_TEXTS, outcomeOf, probeScript } from '../probe-script.ts';

export const netShow: Command = {
  usage: '<app>',
  summary: 'the network of an application: subnets, what passes between them, what is published, names',
  isDefault: true,
  options: [
    ['--mermaid', 'as a Mermaid flowchart'],
    ['--dot', 'as a graph for Graphviz'],
  ],
  async run(context, [app = ''], options) {
    const view = await (await context.client()).network(app);
    if (context.json) context.print(json(view));
    else if (options.mermaid) context.print(mermaid(view));
    else if (options.dot) context.print(dot(view));
    else context.print(networkText(view));
    return 0;
  },
};

export const netWhy: Command = {
  usage: '<connection...>',
  summary: 'whether A reaches B:port, and by which declaration: crm/web-0 crm/db:5432, world crm/web:80',
  async run(context, words) {
    const question = connectionOf(words);
    const answer = await (await context.client()).whyConnection(question);
    context.print(context.json ? json(answer) : verdictText(answer));
    return 0;
  },
};

export const netTrace: Command = {
  usage: '<connection...>',
  summary: 'opens a TCP connection from inside the guest A to B:port, and says what became of it',
  async run(context, words) {
    const question = connectionOf(words);
    if (question.protocol !== 'tcp')
      throw new WeftError('usage', 'only tcp can be tried: udp does not say whether it arrived');
    const client = await context.client();
    const answer = await client.whyConnection(question);
    const [from] = answer.from;
    if (!from)
      throw new WeftError('usage', `${question.from} has no guest from which to try`, {
        remedy:
          'It is tried from inside a guest: give an instance, a machine, or a role that has some. From the world, try it there: with curl, or nc.',
      });
    const address = targetOf(question.to, answer);
    const { stdout } = await runInGuest(client, from.id, probeScript(address, question.port));
    const outcome = outcomeOf(stdout);
    if (outcome === null) throw new WeftError('command-failed', `${from.id} did not say what became of it`);
    // Asked again: the rules have counted the try by now.
    const after = await client.whyConnection(question);
    if (context.json) context.print(json({ ...after, probe: { from: from.id, address, outcome } }));
    else
      context.print(
        `${from.id} → ${address} port ${question.port}: ${OUTCOME_TEXTS[outcome]}\n${verdictText(after)}`,
      );
    return 0;
  },
};

/** An address as it was given, or that of the first guest there. */
function targetOf(to: string, { to: guests }: WhyAnswer): string {
  const plain = to.replace(/^\[|\]$/g, '');
  const address = isIP(plain) === 0 ? guests[0]?.address : plain;
  if (address !== undefined && address !== '') return address;
  throw new WeftError('usage', `${to} has no address to try`, {
    remedy: 'Give an instance that is placed, or an address: 192.0.2.1:443',
  });
}

/** What is declared may have nobody that serves it. */
function headOf(allowed: boolean, now: WhyAnswer['now']): string {
  if (!allowed) return paint('red', 'dropped');
  return now?.startsWith('not served')
    ? paint('yellow', 'allowed, and not served now')
    : paint('green', 'allowed');
}

export function verdictText({
  allowed,
  rule,
  reason,
  now,
  hosts,
  from,
  to,
  edges = [],
  counters = [],
}: WhyAnswer): string {
  const places = [...from, ...to].map(({ id, host, state }) => `  ${id}: ${host ?? 'no host'}, ${state}\n`);
  return [
    `${headOf(allowed, now)}: ${reason}\n`,
    `  by: ${rule ?? 'nothing that is declared'}\n`,
    now ? `  now: ${now}\n` : '',
    `  on: ${hosts.length === 0 ? 'no host yet' : hosts.join(', ')}\n`,
    ...new Set(places),
    edgesText(edges),
    countersText(counters),
  ].join('');
}
