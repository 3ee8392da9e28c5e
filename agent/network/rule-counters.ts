import { networkInterfaces } from 'node:os';
import { WeftError } from '../kit/errors.ts';
import type { RuleCounters, RuleQuestion } from '../protocol/index.ts';
import { canonical6, is4 } from './addresses.ts';
import { flowElement } from './flow-key.ts';
import { type Judge, judgeOf, type Pair } from './judge.ts';
import { tableName } from './names.ts';
import { elementOf, type OutboundRule, readOutboundRules, rulesFor } from './outbound-rules.ts';
import type { RouterPart } from './router-part.ts';
import { askCounting } from './standing-nft.ts';

const COUNTED = /counter packets (\d+) bytes (\d+)/g;

type Counted = Pick<RuleCounters, 'packets' | 'bytes'>;

/** Those whose rules count for themselves. */
export const COUNTING_CHAINS = ['inet flows', 'inet outbound', 'inet guest-input'] as const;

/** @property chain whose rules count, or look up what does: counting begins anew when it is written anew. */
type Answer = Omit<RuleCounters, 'sinceMs'> & { readonly chain: string };

/**
 * What the kernel has counted for a connection, by its rules as they are now. Elements are asked for one by one, however many there are beside them.
 * @param part what is wanted here. @param mac of the guest that asks, where it is on this host; null: it is on another.
 */
export async function readRuleCounters(
  part: RouterPart,
  question: RuleQuestion,
  mac: string | null,
): Promise<Answer> {
  const table = tableName(part.fleet);
  const [answer, over] = await Promise.all([
    readCounters(part, question),
    mac === null ? null : ask(['get', 'element', 'inet', table, 'pace', `{ ${mac} }`]),
  ]);
  return over ? { ...answer, overPace: over.packets } : answer;
}

/** One thing judges all pairs: they are of the same two ends. */
async function readCounters(part: RouterPart, question: RuleQuestion): Promise<Answer> {
  const table = tableName(part.fleet);
  const own = ownAddresses();
  const judged = question.pairs.map((pair) => ({ pair, judge: judgeOf(part, pair, own) }));
  const [first] = judged;
  switch (first?.judge.kind) {
    case 'mesh':
      return meshCounters(table, judged);
    case 'apart':
      return ofElement(
        await element(['bridge', table, 'apart'], `"${first.judge.tap}"`),
        { rule: 'drop', by: 'apart' },
        'bridge forward',
      );
    case 'outbound':
      return outboundCounters(table, first.judge.bridge, first.pair);
    case 'host':
      return ofElement(
        await lastCounter(['inet', table, 'guest-input']),
        { rule: 'drop', by: 'host' },
        'inet guest-input',
      );
    default:
      return flowCounters(table, question);
  }
}

const ofElement = (
  counted: Counted | null,
  what: Pick<RuleCounters, 'rule' | 'by' | 'prefix'>,
  chain: string,
): Answer => ({ ...(counted ? { ...what, ...counted } : NONE), chain });

const NONE = { rule: 'none', packets: 0, bytes: 0 } as const;

async function flowCounters(table: string, { pairs, protocol, port }: RuleQuestion): Promise<Answer> {
  const found: Counted[] = [];
  for (const { from, to } of pairs) {
    const family = is4(from) ? 4 : 6;
    for (const set of [`flows${family}`, `endpoints${family}`]) {
      const counted = await element(['inet', table, set], flowElement({ protocol, port, from, to }));
      if (counted) found.push(counted);
    }
  }
  const chain = 'inet flows';
  if (found.length > 0) return { rule: 'pass', ...sum(found), chain };
  return ofElement(await ask(['list', 'chain', 'inet', table, 'flows']), { rule: 'drop' }, chain);
}

/** Both families together. */
async function meshCounters(
  table: string,
  judged: readonly { readonly pair: Pair; readonly judge: Judge }[],
): Promise<Answer> {
  const found: Counted[] = [];
  let side: 'from' | 'to' = 'to';
  for (const { pair, judge } of judged) {
    if (judge.kind !== 'mesh') continue;
    ({ side } = judge);
    const [set, address] = side === 'from' ? ['begun', pair.from] : ['reached', pair.to];
    const counted = await element(['bridge', table, `${set}${is4(address) ? 4 : 6}`], address);
    if (counted) found.push(counted);
  }
  const what = { rule: 'pass', by: `mesh-${side}` } as const;
  return ofElement(found.length === 0 ? null : sum(found), what, 'bridge beginnings');
}

/** By the first rule that such a packet meets. */
async function outboundCounters(table: string, bridge: string, pair: Pair): Promise<Answer> {
  const chain = 'inet outbound';
  const text = await nft(['list', 'chain', 'inet', table, 'outbound']);
  if (text === null) return { ...NONE, chain };
  const rules = readOutboundRules(text);
  if (rules === null) throw new WeftError('not-supported', 'its rules are not those of its agent');
  for (const rule of rulesFor(rules, { bridge, to: pair.to })) {
    const found =
      rule.set && (await nft(getting(['inet', table, rule.set.name], elementOf(rule.set.key, pair))));
    if (rule.set !== null && found === null) continue;
    const counted = rule.counted ?? countedIn(found ?? '');
    if (counted) return { ...whatOf(rule, found ?? ''), ...counted, chain };
  }
  return { ...NONE, chain };
}

/** @param found the element of its set, as nft lists it. */
function whatOf(rule: OutboundRule, found: string): Pick<RuleCounters, 'rule' | 'by' | 'prefix'> {
  const { set, verdict, bridge } = rule;
  if (verdict === 'drop') {
    const by = set?.name.startsWith('never') ? 'never' : set ? 'guarded' : 'outbound';
    return { rule: 'drop', by };
  }
  const named = bridge === null ? / \. ([0-9a-f.:/]+) counter/.exec(found)?.[1] : (rule.prefix ?? undefined);
  const prefix = named?.endsWith('/0') ? undefined : named;
  const by = bridge === null ? 'outbound-own' : 'outbound-network';
  return { rule: 'pass', by, ...(prefix === undefined ? {} : { prefix }) };
}

type Place = readonly [family: string, table: string, name: string];

const getting = (place: Place, what: string) => ['get', 'element', ...place, `{ ${what} }`];

const element = (place: Place, what: string) => ask(getting(place, what));

async function lastCounter(place: Place): Promise<Counted | null> {
  const text = await nft(['list', 'chain', ...place]);
  return (text === null ? undefined : allCounted(text).at(-1)) ?? null;
}

/** Null: the kernel has no such thing, or it does not count. */
async function ask(words: readonly string[]): Promise<Counted | null> {
  return countedIn((await nft(words)) ?? '');
}

function countedIn(text: string): Counted | null {
  const counted = allCounted(text);
  return counted.length > 0 ? sum(counted) : null;
}

/** Null: the kernel has no such thing. */
const nft = async (words: readonly string[]): Promise<string | null> => (await askCounting(words)) || null;

const allCounted = (text: string): readonly Counted[] =>
  [...text.matchAll(COUNTED)].map(([, packets, bytes]) => ({
    packets: Number(packets),
    bytes: Number(bytes),
  }));

const sum = (all: readonly Counted[]): Counted => ({
  packets: all.reduce((total, { packets }) => total + packets, 0),
  bytes: all.reduce((total, { bytes }) => total + bytes, 0),
});

const ownAddresses = (): ReadonlySet<string> =>
  new Set(
    Object.values(networkInterfaces()).flatMap((all) =>
      (all ?? []).map(({ address }) => (is4(address) ? address : canonical6(address))),
    ),
  );
