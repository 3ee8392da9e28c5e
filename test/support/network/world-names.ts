import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../../lab/lab.ts';
import { Background } from '../background.ts';

const PROGRAM = join(import.meta.dirname, 'resolver.py');
const ABOVE = '127.0.0.53';
/** It may be a link into /run, where a lab host has nothing of the machine's. */
const HIDE =
  'file=$(readlink -m /etc/resolv.conf); mkdir -p "$(dirname "$file")"; : >>"$file"; mount --bind "$0" "$file"';
const SHOW = 'umount "$(readlink -m /etc/resolv.conf)"';

/** A lab host's resolver for all names of the world, each of which has one address, and what it was asked for. Networks made from now on ask it. */
export class WorldNames {
  readonly #lab: Lab;
  readonly #host: string;
  readonly #server: Background;

  private constructor(lab: Lab, host: string, server: Background) {
    this.#lab = lab;
    this.#host = host;
    this.#server = server;
  }

  /** @param others addresses of the host's at which it answers as well. */
  static async start(lab: Lab, host: string, ...others: readonly string[]): Promise<WorldNames> {
    const file = join(lab.layout.folder, `${host}-resolv.conf`);
    await writeFile(file, `nameserver ${ABOVE}\n`);
    await lab.exec(host, ['sh', '-c', HIDE, file]);
    const server = await Background.start(lab, host, ['python3', PROGRAM, 'serve', ABOVE, ...others]);
    await server.says('listening', 60_000);
    return new WorldNames(lab, host, server);
  }

  /** Resolves when it was asked for this name. @param at the address; absent: the one that the host itself asks. */
  heard(name: string, at = ABOVE): Promise<void> {
    return this.#server.says(`${at} ${name}`, 60_000);
  }

  /** Everything that it was asked for so far, at whichever address. */
  get questions(): string {
    return this.#server.output;
  }

  /** What a resolver says of a name to the host itself: a code of RFC 1035, and how many addresses. */
  async ask(resolver: string, name: string): Promise<string> {
    return (await this.#lab.exec(this.#host, ['python3', PROGRAM, 'ask', resolver, name])).stdout.trim();
  }

  async stop(): Promise<void> {
    await this.#server.interrupt();
    await this.#lab.exec(this.#host, ['sh', '-c', SHOW]);
  }
}
