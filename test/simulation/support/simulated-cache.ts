import type { BlobCache } from '../../../agent/disks/contract.ts';
import type { Clock } from '../../../agent/kit/clock.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { BlobRef } from '../../../agent/protocol/index.ts';
import type { Random } from './random.ts';

/** A host's blobs: fetched once, which takes a while and a controller. */
export class SimulatedCache implements BlobCache {
  readonly #blobs: Set<string>;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #hasController: () => boolean;

  constructor(blobs: Set<string>, clock: Clock, random: Random, hasController: () => boolean) {
    this.#blobs = blobs;
    this.#clock = clock;
    this.#random = random;
    this.#hasController = hasController;
  }

  async ensure(
    { digest }: BlobRef,
    _kind: 'layer' | 'file',
    { signal }: { signal: AbortSignal },
  ): Promise<string> {
    if (!this.#blobs.has(digest)) {
      await this.#clock.sleep(this.#random.between(20, 400), signal);
      if (!this.#hasController()) throw new WeftError('host-unreachable', 'the controller does not answer');
      this.#blobs.add(digest);
    }
    return `/blobs/${digest.slice(7)}`;
  }

  async list(): Promise<readonly string[]> {
    return [...this.#blobs];
  }

  async prune(): Promise<readonly string[]> {
    return [];
  }
}
