import { readBlocks } from '../../../agent/network/nft-blocks.ts';
import { composeRuleset } from '../../../agent/network/ruleset.ts';
import { composeChange } from '../../../agent/network/ruleset-change.ts';
import { aGuest, FLOWS, HOSTS, partOf, ROLES } from '../../contract/network/fleet.ts';
import { Stage } from '../../contract/network/stage.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { Benchmark, Measurement } from '../contract.ts';
import { pairedRatio } from '../statistics.ts';

const ENDPOINTS = 1_000;
const ROUNDS = 20;
const EVERY_S = 0.001;
const LOG_PORT = 514;
const guests = ROLES.flatMap((role) => HOSTS.map((host, index) => aGuest(role, index, host)));

/** A thousand endpoints, of which the last has this port. */
const partWith = (host: string, port: number) =>
  partOf(host, guests, [
    ...FLOWS,
    ...Array.from({ length: ENDPOINTS - FLOWS.length }, (_, index) => ({
      ...{ id: `crm/db/${index}`, from: ['crm/web'], to: 'crm/db', protocol: 'tcp' as const },
      port: index === 0 ? port : 10_000 + index,
    })),
  ]);
const blocksWith = (host: string, port: number) => readBlocks(composeRuleset(partWith(host, port), []));

/** Hosts and guests are namespaces, the kernel and all of the agent's network room are real. */
export const networkApply: Benchmark = {
  name: 'network-apply',
  about: 'one endpoint among 1,000 changes: the time of each host, and what others lose meanwhile',
  async run({ rounds, say }) {
    const stage = new Stage();
    try {
      await stage.open();
      const readings = await measure(stage, rounds ?? ROUNDS, say);
      return measurements(readings);
    } finally {
      await stage.close();
    }
  },
};

interface Readings {
  readonly bare: number[];
  readonly rules: number[];
  readonly links: number[];
  readonly sent: number[];
  readonly lost: number[];
}

async function measure(stage: Stage, rounds: number, say: (line: string) => void): Promise<Readings> {
  const apply = (host: string, port: number) =>
    stage
      .host(host)
      .router.ask<{ rulesMs: number; linksMs: number }>({ do: 'apply', part: partWith(host, port) });
  for (const host of HOSTS) await apply(host, 1);
  for (const guest of guests) await stage.addGuest(guest);
  for (const host of HOSTS) {
    await apply(host, 1);
    await stage.host(host).router.ask({ do: 'nft', text: bareTable(host) });
  }
  const readings: Readings = { bare: [], rules: [], links: [], sent: [], lost: [] };
  for (let round = 1; round <= rounds; round++) {
    const stream = await startStream(stage, `round-${round}`);
    for (const host of HOSTS) {
      const bare = bareChange(host, round);
      readings.bare.push(await stage.host(host).router.ask<number>({ do: 'nft', text: bare }));
      const { rulesMs, linksMs } = await apply(host, round + 1);
      readings.rules.push(rulesMs);
      readings.links.push(linksMs);
    }
    const { sent, lost } = await stream();
    readings.sent.push(sent);
    readings.lost.push(lost);
    say(
      `network-apply ${round}: ${readings.rules
        .slice(-HOSTS.length)
        .map((ms) => ms.toFixed(1))
        .join(', ')} ms, ${lost} of ${sent} lost`,
    );
  }
  return readings;
}

/** The same tables under a name of their own, with nothing of Weft's around. */
const bareName = (text: string) => text.replaceAll('weft_f1ee', 'bare');
const bareTable = (host: string) =>
  bareName(composeRuleset(partWith(host, 1), []))
    // It judges nothing: only what it costs to change it counts.
    .replace(/^ +type (filter|nat) hook .*$/gm, '');
const bareChange = (host: string, round: number) =>
  bareName(composeChange(blocksWith(host, round), blocksWith(host, round + 1))?.text ?? '');

/** Of another endpoint, from a guest on the first host to one on the second. @returns what ends it and counts. */
async function startStream(stage: Stage, name: string) {
  const [from, to] = [stage.guest('crm/web-0'), stage.guest('crm/db-1')];
  const target = guests.find(({ id }) => id === 'crm/db-1');
  const came = () => to.ask<number>({ do: 'came', part: `${name} ` });
  const ended = from.ask<number>({
    do: 'stream',
    name,
    host: target?.address,
    port: LOG_PORT,
    every: EVERY_S,
  });
  await waitFor('the stream', came, (count) => count > 0, 30_000);
  return async () => {
    await from.ask({ do: 'stop', name });
    const sent = await ended;
    // What has not come by then does not come.
    const last = await waitFor('the last of the stream', came, (count) => count >= sent, 5_000).catch(came);
    return { sent, lost: sent - last };
  };
}

function measurements({ bare, rules, links, sent, lost }: Readings): Measurement[] {
  const readings = { 'bare nft -f': bare, rules, 'rules and links': links };
  const sum = (values: readonly number[]) => values.reduce((one, other) => one + other, 0);
  return [
    {
      benchmark: 'one endpoint of 1,000, slowest host',
      unit: 'ms',
      value: Math.max(...rules),
      target: { limit: 100, better: 'lower' },
      readings,
      note: 'from the goal until its rules are in force, through the agent’s own network room, on three hosts in turn',
    },
    {
      benchmark: 'one endpoint of 1,000, ratio',
      unit: '× bare nft -f',
      value: pairedRatio(rules, bare),
      target: { limit: 3, better: 'lower' },
      readings: { 'bare nft -f': bare, rules },
      note: 'beside `nft -f` of the same elements in tables as large, run by the same process right before',
    },
    {
      benchmark: 'one endpoint of 1,000, others',
      unit: 'datagrams lost',
      value: sum(lost),
      target: { limit: 0, better: 'lower' },
      readings: { sent, lost },
      note: 'a stream of another endpoint between guests on two hosts, one datagram a millisecond, while all hosts change',
    },
  ];
}
