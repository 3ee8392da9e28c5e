import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import type { Clock } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';
import { repeat } from '../kit/repeat.ts';
import { isSameDocument } from '../kit/same-document.ts';
import { LastAddresses } from '../network/last-addresses.ts';
import { lastingOf, type SeenUnderlay, seenOf } from '../network/lasting-underlay.ts';
import type { TunnelAbility } from '../network/tunnel-ability.ts';
import { hostOf, lookAtUnderlay, type Underlay, type UnderlayOptions } from '../network/underlay.ts';
import { underlayOffer } from '../protocol/index.ts';

const EVERY_MS = 10_000;
/** A resolver that does not answer holds up an agent that starts no longer than this. */
const FIRST_ANSWER_MS = 3_000;
const NOTHING: Underlay = { offer: null, guarded: [], never: [] };

/** What an agent that starts anew goes on with. */
const kept = z.object({
  /** Of devices and of the controller, as last known. */
  names: z.record(z.string(), z.array(z.union([z.ipv4(), z.ipv6()]))),
  underlay: z.object({
    offer: underlayOffer.nullable(),
    guarded: z.array(z.string()),
    never: z.array(z.string()),
  }),
});
type Kept = z.infer<typeof kept>;

export interface UnderlayWatchOptions extends Omit<UnderlayOptions, 'addressesOf'> {
  /** Where what was seen is kept for the next agent. */
  readonly file: string;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'warn'>;
  /** Absent: the system's resolver. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
  /** Absent: the kernel's word. */
  readonly lookAt?: (options: UnderlayOptions) => Promise<Underlay>;
}

/** Where others reach this host, as it is now, or was a short while ago. An address that comes late, or goes away for good, changes it. */
export class UnderlayWatch {
  readonly #options: UnderlayWatchOptions;
  #addresses: LastAddresses;
  #seen: SeenUnderlay;
  #latest = NOTHING;
  #written: Kept | null = null;

  constructor(options: UnderlayWatchOptions) {
    this.#options = options;
    this.#addresses = new LastAddresses({}, options.resolve);
    this.#seen = seenOf(NOTHING, 0);
  }

  get latest(): Underlay {
    return this.#latest;
  }

  /** Goes on from what the agent before it knew, and looks for the first time. */
  async start(): Promise<void> {
    const { file, clock, resolve } = this.#options;
    this.#written = await read(file);
    if (this.#written) {
      this.#addresses = new LastAddresses(this.#written.names, resolve);
      this.#latest = this.#written.underlay;
      this.#seen = seenOf(this.#latest, clock.now());
    }
    const waiting = new AbortController();
    const limit = clock.sleep(FIRST_ANSWER_MS, waiting.signal).catch(() => undefined);
    await Promise.race([this.#addresses.refresh(this.#names()), limit]);
    waiting.abort();
    await this.look();
  }

  /** Half a look is none: what was known before stays. @returns whether what is offered has changed. */
  async look(): Promise<boolean> {
    const { clock, lookAt = lookAtUnderlay, ...options } = this.#options;
    const before = this.#latest.offer;
    const addressesOf = (name: string) => this.#addresses.of(name);
    const found = await lookAt({ ...options, addressesOf }).catch(() => null);
    if (found) {
      const { seen, underlay } = lastingOf(this.#seen, found, clock.now());
      this.#seen = seen;
      this.#latest = underlay;
    }
    await this.#keep();
    return !isSameDocument(before, this.#latest.offer);
  }

  /** @param onChange the controller is to hear of it. @returns what ends it. */
  follow(onChange: () => void): () => void {
    const { clock } = this.#options;
    const look = async () => {
      if (await this.look()) onChange();
    };
    // Beside each other: a resolver that does not answer hides no address that is new.
    const stops = [
      repeat(clock, EVERY_MS, look, 'later'),
      repeat(
        clock,
        EVERY_MS,
        async () => {
          await this.#addresses.refresh(this.#names());
        },
        'later',
      ),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  #names(): readonly string[] {
    const { devices, controller } = this.#options;
    return [...devices, hostOf(controller())];
  }

  /** Written where it is another. What cannot be written is lost to the next agent only. */
  async #keep(): Promise<void> {
    const { file, log } = this.#options;
    const names = this.#addresses.knownOf(this.#names());
    const now = { names, underlay: this.#latest } as Kept;
    if (isSameDocument(now, this.#written)) return;
    try {
      await writeFileAtomic(file, `${JSON.stringify(now)}\n`, 0o600);
      this.#written = now;
    } catch (error) {
      log.warn({ err: error }, 'what is known of the underlay could not be written down');
    }
  }
}

/** Where others reach this host, and whether it can encrypt what goes to them. */
export const lookWith =
  (ability: Pick<TunnelAbility, 'look'>) =>
  async (options: UnderlayOptions): Promise<Underlay> => {
    const { offer, ...beside } = await lookAtUnderlay(options);
    return { ...beside, offer: offer && { ...offer, encryption: await ability.look() } };
  };

/** What is not there, or is damaged, is nothing. */
async function read(file: string): Promise<Kept | null> {
  try {
    return kept.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return null;
  }
}
