import type { Lab } from '../../lab/lab.ts';

/** Frames that a guest has sent, and those of them that have passed what its host judges them by. */
export interface Frames {
  readonly sent: number;
  readonly passed: number;
}

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
    host: string,
    tap: string,
    matches: Readonly<Record<string, string>>,
  ): Promise<FrameWatch> {
    const names = Object.keys(matches);
    const chain = (which: string, priority: number) =>
      [
        `chain ${which} {`,
        `type filter hook prerouting priority ${priority}; policy accept;`,
        ...names.map((name) => `iifname "${tap}" ${matches[name]} counter name "${which}-${name}"`),
        '}',
      ].join('\n');
    const counters = names.flatMap((name) => [`counter sent-${name} { }`, `counter passed-${name} { }`]);
    const text = `table bridge ${TABLE} {\n${[...counters, chain('sent', BEFORE), chain('passed', BEHIND)].join('\n')}\n}\n`;
    await lab.exec(host, ['nft', '-f', '-'], { input: text });
    return new FrameWatch(lab, host);
  }

  async frames(): Promise<Readonly<Record<string, Frames>>> {
    const { stdout } = await this.#lab.exec(this.#host, ['nft', '-j', 'list', 'table', 'bridge', TABLE]);
    const { nftables } = JSON.parse(stdout) as {
      nftables: readonly { readonly counter?: { readonly name: string; readonly packets: number } }[];
    };
    const counted = new Map(nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : [])));
    const names = [...counted.keys()].flatMap((name) => /^sent-(.*)$/.exec(name)?.[1] ?? []);
    return Object.fromEntries(
      names.map((name) => [
        name,
        { sent: counted.get(`sent-${name}`) ?? 0, passed: counted.get(`passed-${name}`) ?? 0 },
      ]),
    );
  }

  async end(): Promise<void> {
    await this.#lab.exec(this.#host, ['nft', 'delete', 'table', 'bridge', TABLE]);
  }
}
