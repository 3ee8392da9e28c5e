import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import { ExclusiveRunner } from '../kit/exclusive-runner.ts';
import type { Logger } from '../kit/log.ts';
import { goal } from '../protocol/index.ts';
import type { RouterPart } from './router-part.ts';

/** Agents of other versions read what they know of it: what is unknown is left out, and what is missing is of an older controller. */
const schema = z.object({
  /** Nothing of what it says outlives the boot. */
  bootId: z.string(),
  part: goal.pick({ fleet: true, networks: true, backbone: true, router: true, edge: true, names: true }),
});

export interface KeptPartOptions {
  readonly file: string;
  readonly fleet: string;
  readonly bootId: string;
  readonly log: Pick<Logger, 'warn'>;
}

/**
 * What was last wanted of this host's network, for an agent that starts while the controller is away. Guests that were given up here since then
 * are held by what other hosts know, as they are while rules of the same goal stay in the kernel.
 */
export class KeptPart {
  readonly #options: KeptPartOptions;
  readonly #writes = new ExclusiveRunner();
  #found: Promise<RouterPart | null> | null = null;
  #wanted: RouterPart | null = null;
  #written = '';

  constructor(options: KeptPartOptions) {
    this.#options = options;
  }

  get fleet(): string {
    return this.#options.fleet;
  }

  /** As the agent before this one has left it. Null: there is none of this boot and fleet, or it is damaged. */
  found(): Promise<RouterPart | null> {
    this.#found ??= this.#read();
    return this.#found;
  }

  /**
   * Writes down what is wanted now; what was overtaken while a disk was slow is not written. Never fails: what cannot be written is told, and
   * lost to the next agent only.
   */
  keep(part: RouterPart): Promise<void> {
    this.#wanted = part;
    return this.#writes.run('file', async () => {
      await this.found();
      const { file, bootId, log } = this.#options;
      const text = `${JSON.stringify({ bootId, part: withoutServed(this.#wanted ?? part) })}\n`;
      if (text === this.#written) return;
      try {
        await writeFileAtomic(file, text, 0o600);
        this.#written = text;
      } catch (error) {
        log.warn({ err: error }, 'what is wanted of guests’ networks could not be written down');
      }
    });
  }

  async #read(): Promise<RouterPart | null> {
    const { file, fleet, bootId } = this.#options;
    try {
      const kept = schema.parse(JSON.parse(await readFile(file, 'utf8')));
      return kept.bootId === bootId && kept.part.fleet === fleet ? kept.part : null;
    } catch {
      return null;
    }
  }
}

/** Of what the host serves, whether there is any: certificates, backends and records are others' to keep. */
function withoutServed({ edge, names, ...part }: RouterPart): RouterPart {
  return {
    ...part,
    ...(edge && {
      edge: {
        addresses: [],
        endpoints: edge.endpoints.slice(0, 1).map((each) => ({ ...each, backends: [] })),
      },
    }),
    ...(names && { names: { ...names, records: [] } }),
  };
}
