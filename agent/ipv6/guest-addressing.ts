import { WeftError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { hasIp6 } from '../network/kernel-setting.ts';
import type { RouterPart } from '../network/router-part.ts';
import { Dhcp6Server } from './dhcp6-server.ts';
import { RouterAdvertisements, type RouterAdvertisementsOptions } from './router-advertisements.ts';
import { composeSubnets6, type Subnet6 } from './subnets6.ts';

const LONGEST = 1_024;

export interface GuestAddressingOptions extends RouterAdvertisementsOptions {
  readonly log: Pick<Logger, 'warn' | 'info'>;
  /** There is another problem, or none any more. */
  readonly onChange: () => void;
}

/** IPv6 for guests whose image reads no seed: a router that is advertised, and a server that tells each guest its one address. */
export class GuestAddressing {
  readonly #options: GuestAddressingOptions;
  readonly #advertisements: RouterAdvertisements;
  readonly #server = new Dhcp6Server();
  #problem: string | null = null;

  constructor(options: GuestAddressingOptions) {
    this.#options = options;
    this.#advertisements = new RouterAdvertisements(options);
  }

  /** Why guests that read no seed are not told of IPv6, for people; null: they are, or there are none. */
  get problem(): string | null {
    return this.#problem;
  }

  /**
   * Brings it in line with a goal, on bridges that stand. Never fails: guests that have IPv6 by their seed need none of it; what it could not
   * do is tried again with the next look.
   * @returns whether there was something to do.
   */
  async align(part: RouterPart): Promise<boolean> {
    const subnets: readonly Subnet6[] = (await hasIp6()) ? composeSubnets6(part) : [];
    const done = await Promise.allSettled([this.#server.align(subnets), this.#advertisements.keep(subnets)]);
    const failed = done.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
    this.#tell(failed?.reason);
    return done.some((each) => each.status === 'fulfilled' && each.value);
  }

  /** It is said once. */
  #tell(error: unknown): void {
    const problem = error === undefined ? null : describe(WeftError.from(error));
    if (problem === this.#problem) return;
    const { log, onChange } = this.#options;
    if (problem === null) log.info({}, 'guests are told of IPv6 as they should be');
    else log.warn({ err: error }, 'guests that read no seed are not told of IPv6; trying again');
    this.#problem = problem;
    onChange();
  }
}

const describe = ({ message, remedy }: WeftError): string =>
  `guests whose image reads no seed get no IPv6: ${message}${remedy ? `; ${remedy}` : ''}`.slice(0, LONGEST);
