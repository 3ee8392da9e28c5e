import { exec } from '../kit/exec.ts';
import type { RuleCounters, RuleQuestion } from '../protocol/index.ts';
import { is4 } from './addresses.ts';
import { tableName } from './names.ts';

const LIMIT_MS = 5_000;
const COUNTED = /counter packets (\d+) bytes (\d+)/g;

type Counted = Pick<RuleCounters, 'packets' | 'bytes'>;

type Answer = Omit<RuleCounters, 'sinceMs'>;

/**
 * What the kernel has counted for a connection, by its rules as they are now. One element is asked for, however many there are.
 * @param mac of the guest that asks, where it is on this host; null: it is on another.
 */
export async function readRuleCounters(
  fleet: string,
  question: RuleQuestion,
  mac: string | null,
): Promise<Answer> {
  const [answer, over] = await Promise.all([
    readFlowCounters(fleet, question),
    mac === null ? null : ask(['get', 'element', 'inet', tableName(fleet), 'pace', `{ ${mac} }`]),
  ]);
  return over ? { ...answer, overPace: over.packets } : answer;
}

async function readFlowCounters(fleet: string, { pairs, protocol, port }: RuleQuestion): Promise<Answer> {
  const found: Counted[] = [];
  for (const { from, to } of pairs) {
    const family = is4(from) ? 4 : 6;
    for (const set of [`flows${family}`, `endpoints${family}`]) {
      const element = `{ ${from} . ${to} . ${protocol} . ${port} }`;
      const counted = await ask(['get', 'element', 'inet', tableName(fleet), set, element]);
      if (counted) found.push(counted);
    }
  }
  if (found.length > 0) return { rule: 'pass', ...sum(found) };
  const dropped = await ask(['list', 'chain', 'inet', tableName(fleet), 'flows']);
  return dropped ? { rule: 'drop', ...dropped } : { rule: 'none', packets: 0, bytes: 0 };
}

/** Null: the kernel has no such thing. The words are a shell's to nobody: nft gets them as they are. */
async function ask(words: readonly string[]): Promise<Counted | null> {
  const { stdout, exitCode } = await exec('nft', words, { timeoutMs: LIMIT_MS, okExitCodes: [0, 1] });
  const counted = [...stdout.matchAll(COUNTED)].map(([, packets, bytes]) => ({
    packets: Number(packets),
    bytes: Number(bytes),
  }));
  return exitCode === 0 && counted.length > 0 ? sum(counted) : null;
}

const sum = (all: readonly Counted[]): Counted => ({
  packets: all.reduce((total, { packets }) => total + packets, 0),
  bytes: all.reduce((total, { bytes }) => total + bytes, 0),
});
