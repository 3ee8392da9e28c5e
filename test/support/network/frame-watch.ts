import { hexOf4 } from '../../../agent/network/names.ts';
import type { Lab } from '../../lab/lab.ts';
import type { PlacedGuest } from './matrix.ts';

/** What becomes of frames of one kind at the rules of their host. */
export type Verdict = 'not sent' | 'dropped' | 'passed';

const TABLE = 'watch';
/** Rules of a bridge's guests are at the priority `filter`, which is -200 there (nft(8)). */
const BEFORE = -250;
const BEHIND = -150;

/** Counts on a lab host what one guest's interface brings in, before Weft's rules and behind them, in a table of its own. */
export class FrameWatch {
  readonly #lab: Lab;
  readonly #host: string;

  private constructor(lab: Lab, host: string) {
    this.#lab = lab;
    this.#host = host;
  }

  /** @param matches name → what of nftables picks these frames out. */
  static async start(
    lab: Lab,
    guest: PlacedGuest,
    matches: Readonly<Record<string, string>>,
  ): Promise<FrameWatch> {
    const tap = await tapOf(lab, guest);
    const names = Object.keys(matches);
    const chain = (which: string, priority: number) =>
      [
        `chain ${which} {`,
        `type filter hook prerouting priority ${priority}; policy accept;`,
        ...names.map((name) => `iifname "${tap}" ${matches[name]} counter name "${which}-${name}"`),
        '}',
      ].join('\n');
    const counters = names.flatMap((name) => [`counter sent-${name} { }`, `counter passed-${name} { }`]);
    const blocks = [...counters, chain('sent', BEFORE), chain('passed', BEHIND)].join('\n');
    await lab.exec(guest.host, ['nft', '-f', '-'], { input: `table bridge ${TABLE} {\n${blocks}\n}\n` });
    return new FrameWatch(lab, guest.host);
  }

  /** By the names of what is watched for. */
  async verdicts(): Promise<Readonly<Record<string, Verdict>>> {
    const { stdout } = await this.#lab.exec(this.#host, ['nft', '-j', 'list', 'table', 'bridge', TABLE]);
    const { nftables } = JSON.parse(stdout) as {
      nftables: readonly { readonly counter?: { readonly name: string; readonly packets: number } }[];
    };
    const counted = new Map(
      nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets] as const] : [])),
    );
    const names = [...counted.keys()].flatMap((name) => /^sent-(.*)$/.exec(name)?.[1] ?? []);
    const verdictOf = (name: string): Verdict => {
      if ((counted.get(`passed-${name}`) ?? 0) > 0) return 'passed';
      return (counted.get(`sent-${name}`) ?? 0) > 0 ? 'dropped' : 'not sent';
    };
    return Object.fromEntries(names.map((name) => [name, verdictOf(name)]));
  }

  async end(): Promise<void> {
    await this.#lab.exec(this.#host, ['nft', 'delete', 'table', 'bridge', TABLE]);
  }
}

/** The interface of a guest on its host: its name ends with its address. */
async function tapOf(lab: Lab, { host, address }: PlacedGuest): Promise<string> {
  const { stdout } = await lab.exec(host, ['ip', '-o', 'link', 'show']);
  const found = new RegExp(`: (wt[0-9a-f]{4}-${hexOf4(address)})[:@]`).exec(stdout)?.[1];
  if (found === undefined) throw new Error(`${host} has no interface of ${address}`);
  return found;
}
