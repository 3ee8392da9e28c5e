import type { Logger } from '../kit/log.ts';
import type { KeptPart } from './kept-part.ts';
import { KernelConnections } from './kernel-connections.ts';
import { ledElsewhere } from './led-elsewhere.ts';
import { tableName } from './names.ts';
import type { Blocks } from './nft-blocks.ts';
import { newlyClosed, revokedConnections, subnetsOf } from './revoked-connections.ts';
import { revokedOutbound } from './revoked-outbound.ts';
import type { RouterPart } from './router-part.ts';

interface LetThrough {
  readonly part: RouterPart;
  readonly blocks: Blocks;
}

/** What goes on by a connection that rules would not let begin any more is ended. */
export class Revocations {
  readonly #connections: KernelConnections;
  readonly #kept: Pick<KeptPart, 'found'> | undefined;
  /** What was let through last, as far as that is known; it outlasts what is known of the kernel's rules. */
  #last: LetThrough | null = null;

  /** @param kept what was wanted before this agent began. */
  constructor(log: Pick<Logger, 'warn'>, kept: Pick<KeptPart, 'found'> | undefined) {
    this.#connections = new KernelConnections(log);
    this.#kept = kept;
  }

  /** These rules are in force. Nothing waits for what is ended. */
  follow(part: RouterPart, blocks: Blocks): void {
    const before = this.#last;
    this.#last = { part, blocks };
    void this.#forget(before, { part, blocks });
  }

  async #forget(before: LetThrough | null, { part, blocks }: LetThrough): Promise<void> {
    const earlier = before?.part ?? (await this.#kept?.found()) ?? part;
    const { fleet, backbone } = part;
    const [table, range] = [tableName(fleet), backbone && ([backbone.range, backbone.range6] as const)];
    const subnets = [...new Set([earlier, part].flatMap(subnetsOf))];
    await this.#connections.forget([
      ...(range ? revokedConnections(table, before?.blocks ?? null, blocks, range, subnets) : []),
      ...revokedOutbound(earlier, part),
      ...(range && before ? newlyClosed(table, before.blocks, blocks, range) : []),
      ...(before ? ledElsewhere(table, before.blocks, blocks) : []),
    ]);
  }
}
