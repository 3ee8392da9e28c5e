import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import type { Catalogue } from '../catalogue/contract.ts';
import type { ResolvedImage } from './world.ts';
import type { WorldCache } from './world-cache.ts';

/** What the applications' image references mean now; asked of the catalogue once, and again when the catalogue has changed. */
export class ImageResolver {
  readonly #catalogue: Catalogue;
  readonly #clock: Clock;
  readonly #known = new Map<string, ResolvedImage>();

  constructor(catalogue: Catalogue, clock: Clock) {
    this.#catalogue = catalogue;
    this.#clock = clock;
  }

  get known(): ReadonlyMap<string, ResolvedImage> {
    return this.#known;
  }

  forget(): void {
    this.#known.clear();
  }

  async resolve(cache: WorldCache): Promise<void> {
    const references = new Set<string>();
    for (const { service } of cache.records('applications').values()) {
      for (const role of Object.values(service.roles)) references.add(role.image);
      for (const machine of Object.values(service.machines)) references.add(machine.image);
    }
    const missing = [...references].filter((reference) => !this.#known.has(reference));
    await Promise.all(
      missing.map(async (reference) => this.#known.set(reference, await this.#resolveOne(reference))),
    );
  }

  async #resolveOne(reference: string): Promise<ResolvedImage> {
    const startedAtMs = this.#clock.now();
    try {
      const image = await this.#catalogue.resolve(reference);
      return { image, failure: null, ms: this.#clock.now() - startedAtMs };
    } catch (error) {
      const { code, message, remedy } = WeftError.from(error);
      const failure = { code, message, ...(remedy === undefined ? {} : { remedy }) };
      return { image: null, failure, ms: this.#clock.now() - startedAtMs };
    }
  }
}
