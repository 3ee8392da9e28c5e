import { exec } from '../kit/exec.ts';
import { type Ending, StandingProgram } from '../kit/standing-program.ts';

const LIMIT_MS = 10_000;

/** Of each question there is a line of JSON. */
function endingAfter(lines: number): Ending {
  let said = 0;
  return (piece) => {
    said += piece.split('\n').length - 1;
    return said >= lines;
  };
}

/** `ip` or `bridge`, with these options, that stays and is asked again and again. */
class Asked {
  readonly #command: readonly [string, ...string[]];
  readonly #standing: StandingProgram;

  constructor(...command: readonly [string, ...string[]]) {
    this.#command = [...command, '-batch', '-'];
    this.#standing = new StandingProgram(this.#command, { timeoutMs: LIMIT_MS, failsByStderr: true });
  }

  /** @returns a document for each question. @throws WeftError `command-failed`, `timeout`. */
  async ask(...questions: readonly string[]): Promise<readonly unknown[]> {
    const input = `${questions.join('\n')}\n`;
    const once = () => this.#once(input);
    const said = await this.#standing.askOr(once, input, endingAfter(questions.length));
    return said.split('\n', questions.length).map((line) => JSON.parse(line) as unknown);
  }

  forget(): void {
    this.#standing.end();
  }

  /** It says why it fails. */
  async #once(input: string): Promise<string> {
    const [file, ...args] = this.#command;
    return (await exec(file, args, { input, timeoutMs: LIMIT_MS })).stdout;
  }
}

/** A number of a device, and what it is called. */
export interface NumberedLink {
  readonly ifindex: number;
  readonly ifname: string;
}

/**
 * Who is asked what links, addresses, routes and neighbours there are. These programs keep the names of devices that they have come by
 * (iproute2, lib/ll_map.c): where one of these has gone or is called otherwise, they are begun anew and asked once more.
 */
export class StandingLinks {
  readonly #ip = new Asked('ip', '-json', '-details');
  readonly #ip6 = new Asked('ip', '-6', '-json');
  readonly #bridge = new Asked('bridge', '-json');
  #names: ReadonlyMap<number, string> = new Map();

  /** Addresses, permanent neighbours, routes, those of IPv6, and forwards. @param linksOf of the first. */
  async all<T extends NumberedLink>(has6: boolean, linksOf: (document: unknown) => readonly T[]) {
    const before = this.#names;
    const first = await this.#look(has6, linksOf);
    if (!isStale(before, this.#names)) return first;
    for (const each of [this.#ip, this.#ip6, this.#bridge]) each.forget();
    return this.#look(has6, linksOf);
  }

  /** Addresses name their devices by what the kernel says with them. */
  async addresses(): Promise<unknown> {
    const [document] = await this.#ip.ask('address show');
    return document;
  }

  /** Of IPv6. */
  async proxies(): Promise<unknown> {
    const [document] = await this.#ip6.ask('neigh show proxy');
    return document;
  }

  async #look<T extends NumberedLink>(has6: boolean, linksOf: (document: unknown) => readonly T[]) {
    const [[addresses, neighbours, routes], [routes6 = []], [forwards]] = await Promise.all([
      this.#ip.ask('address show', 'neigh show nud permanent', 'route show'),
      has6 ? this.#ip6.ask('route show') : [],
      this.#bridge.ask('fdb show'),
    ]);
    const links = linksOf(addresses);
    this.#names = new Map(links.map(({ ifindex, ifname }) => [ifindex, ifname]));
    return { links, neighbours, routes, routes6, forwards };
  }
}

/** Whether a device that was seen has gone, or is called otherwise. */
const isStale = (before: ReadonlyMap<number, string>, now: ReadonlyMap<number, string>): boolean =>
  [...before].some(([number, name]) => now.get(number) !== name);

/** Of this process: it has one network. */
export const standingLinks = new StandingLinks();
