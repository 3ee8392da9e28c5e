import type { Clock } from '../kit/clock.ts';
import { repeat } from '../kit/repeat.ts';
import { isSameDocument } from '../kit/same-document.ts';
import { LastAddresses } from '../network/last-addresses.ts';
import type { TunnelAbility } from '../network/tunnel-ability.ts';
import { lookAtUnderlay, type Underlay, type UnderlayOptions } from '../network/underlay.ts';

const EVERY_MS = 10_000;

/** Where others reach this host, as it is now. An address that comes late, or goes away, changes it. */
export class UnderlayWatch {
  readonly #options: UnderlayOptions;
  readonly #ability: Pick<TunnelAbility, 'look'>;
  #latest: Underlay = { offer: null, guarded: [], never: [] };

  constructor(options: Omit<UnderlayOptions, 'addressesOf'>, ability: Pick<TunnelAbility, 'look'>) {
    this.#ability = ability;
    const addresses = new LastAddresses();
    this.#options = { ...options, addressesOf: (name) => addresses.of(name) };
  }

  get latest(): Underlay {
    return this.#latest;
  }

  /** Half a look is none: what was known before stays. @returns whether what is offered has changed. */
  async look(): Promise<boolean> {
    const before = this.#latest.offer;
    this.#latest = await this.#lookAtBoth().catch(() => this.#latest);
    return !isSameDocument(before, this.#latest.offer);
  }

  async #lookAtBoth(): Promise<Underlay> {
    const { offer, ...beside } = await lookAtUnderlay(this.#options);
    return { ...beside, offer: offer && { ...offer, encryption: await this.#ability.look() } };
  }

  /** @param onChange the controller is to hear of it. @returns what ends it. */
  follow(clock: Clock, onChange: () => void): () => void {
    return repeat(
      clock,
      EVERY_MS,
      async () => {
        if (await this.look()) onChange();
      },
      'later',
    );
  }
}
