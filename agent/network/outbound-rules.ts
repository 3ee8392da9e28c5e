import { asPrefix, overlap } from '../kit/addressing.ts';
import { is4, prefixesOf } from './addresses.ts';

/** A rule of the chain that lets guests out, as the kernel lists it. */
export interface OutboundRule {
  /** Null: every bridge. */
  readonly bridge: string | null;
  /** Null: of both families. */
  readonly family: 4 | 6 | null;
  /** Set that it asks, and by what: `saddr`, `daddr`, or `saddr . daddr`. Null: none. */
  readonly set: { readonly name: string; readonly key: string } | null;
  /** Null: every address. */
  readonly prefix: string | null;
  readonly verdict: 'accept' | 'drop';
  /** Null: elements of its set count. */
  readonly counted: { readonly packets: number; readonly bytes: number } | null;
}

const BRIDGE = '(?:iifname "([^"]+)" )?';
const MATCH =
  '(?:ct original )?(?:(ip6?) (saddr|daddr|saddr \\. ip6? daddr) (?:@([a-z]+[46])|([0-9a-f.:/]+)) )?';
const COUNTER = '(?:counter packets (\\d+) bytes (\\d+) )?';
const RULE = new RegExp(`^${BRIDGE}${MATCH}${COUNTER}(accept|drop)$`);

/** @param text of `nft list chain`. @returns null: it has a rule that is not one of this agent's. */
export function readOutboundRules(text: string): readonly OutboundRule[] | null {
  const lines = text.split('\n').map((line) => line.trim());
  const begin = lines.findIndex((line) => /^chain \S+ \{$/.test(line));
  const end = lines.indexOf('}', begin);
  if (begin < 0 || end < 0) return null;
  const rules = lines.slice(begin + 1, end).map(readRule);
  return rules.every((rule) => rule !== null) ? rules : null;
}

function readRule(line: string): OutboundRule | null {
  const [, bridge, family, fields, set, prefix, packets, bytes, verdict] = RULE.exec(line) ?? [];
  if (verdict !== 'accept' && verdict !== 'drop') return null;
  if (
    prefix !== undefined &&
    (fields !== 'daddr' || prefixesOf([prefix], family === 'ip' ? 4 : 6).length === 0)
  )
    return null;
  return {
    bridge: bridge ?? null,
    family: family === undefined ? null : family === 'ip' ? 4 : 6,
    set:
      set === undefined || fields === undefined
        ? null
        : { name: set, key: fields.replace(' ip6', '').replace(' ip', '') },
    prefix: prefix ?? null,
    verdict,
    counted: packets === undefined ? null : { packets: Number(packets), bytes: Number(bytes) },
  };
}

/** Rules that what comes by this bridge may meet on its way to an address, in their order; those that ask a set meet it where the set has the element. Pure. */
export const rulesFor = (
  rules: readonly OutboundRule[],
  { bridge, to }: { readonly bridge: string; readonly to: string },
): readonly OutboundRule[] =>
  rules.filter(
    (rule) =>
      (rule.bridge === null || rule.bridge === bridge) &&
      (rule.family === null || rule.family === (is4(to) ? 4 : 6)) &&
      (rule.prefix === null || overlap(asPrefix(rule.prefix), asPrefix(to))),
  );

/** What a set is asked for. */
export const elementOf = (
  key: string,
  { from, to }: { readonly from: string; readonly to: string },
): string => (key === 'saddr' ? from : key === 'daddr' ? to : `${from} . ${to}`);
