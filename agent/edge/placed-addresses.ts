import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../kit/atomic-file.ts';

/** An address that keepalived puts on this host when it has its turn. */
export interface PlacedAddress {
  readonly address: string;
  /** `192.0.2.200/24`. */
  readonly cidr: string;
  readonly link: string;
}

const PLACED = /^ *(\S+)\/(\d+) dev (\S+)(?: preferred_lft 0)?$/gm;

/** Of a configuration, or of what `PlacedAddresses` keeps. */
export const placedBy = (text: string): readonly PlacedAddress[] =>
  [...text.matchAll(PLACED)].flatMap(([, address, prefix, link]) =>
    address && link ? [{ address, cidr: `${address}/${prefix}`, link }] : [],
  );

const linesOf = (places: readonly PlacedAddress[]): string =>
  [...new Set(places.map(({ cidr, link }) => `${cidr} dev ${link}\n`))].join('');

/**
 * Everything that keepalived may have put on this host: also by a configuration before the one that lies there, which it was perhaps never told
 * to read. Written down before that is.
 */
export class PlacedAddresses {
  readonly #file: string;

  /** @param folder of the servers of an edge host. */
  constructor(folder: string) {
    this.#file = join(folder, 'keepalived.addresses');
  }

  async list(): Promise<readonly PlacedAddress[]> {
    return placedBy(await readFile(this.#file, 'utf8').catch(() => ''));
  }

  async addresses(): Promise<ReadonlySet<string>> {
    return new Set((await this.list()).map(({ address }) => address));
  }

  /** These may be there from now on, beside what may be there already. */
  async expect(configuration: string): Promise<void> {
    await this.#write(await this.list(), placedBy(configuration));
  }

  /** No others than those of this configuration are there any more. */
  async settle(configuration: string): Promise<void> {
    await this.#write(placedBy(configuration));
  }

  async forget(): Promise<void> {
    await rm(this.#file, { force: true });
  }

  async #write(...places: readonly (readonly PlacedAddress[])[]): Promise<void> {
    const text = linesOf(places.flat());
    if (text !== linesOf(await this.list())) await writeFileAtomic(this.#file, text, 0o600);
  }
}
