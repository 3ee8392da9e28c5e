import { WeftError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { isNearlyFull } from '../protocol/index.ts';
import { type ConnectionShare, crowding, type Pace, paceOf, type TableFill } from './connection-share.ts';
import { type ConnectionTable, kernelTable } from './connection-table.ts';
import { composeSet } from './nft-text.ts';
import { tryRules } from './nft-try.ts';
import { paceFlags } from './pace-rules.ts';
import type { RouterPart } from './router-part.ts';

interface GuestConnectionsOptions {
  readonly log: Pick<Logger, 'warn' | 'info'>;
  /** Connections a second that a guest may begin. Absent: as the kernel's table is large. */
  readonly perSecond?: number | 'off' | undefined;
  /** Absent: the kernel's. */
  readonly table?: ConnectionTable;
}

/** What is to be told of the table. */
export interface ConnectionsSeen extends TableFill {
  /** Ids of guests, or addresses of those on other hosts, that begin none for now. */
  readonly barred: string[];
}

/** Keeps guests from filling the kernel's table of connections: a pace for each, and a bar to those that crowd a table that is nearly full. */
export class GuestConnections {
  readonly #options: GuestConnectionsOptions;
  readonly #table: ConnectionTable;
  #barred: readonly string[] = [];
  #seen: ConnectionsSeen | null = null;
  /** Whether the kernel knows such rules; null: not tried yet. */
  #canPace: Promise<boolean> | null = null;

  constructor(options: GuestConnectionsOptions) {
    this.#options = options;
    this.#table = options.table ?? kernelTable;
  }

  /** As it was last seen; null: the kernel tracks nothing. */
  get seen(): ConnectionsSeen | null {
    return this.#seen;
  }

  /** What rules are to hold now. */
  async share(): Promise<ConnectionShare> {
    const fill = await this.#table.fill();
    const pace = paceOf(fill?.max ?? null, this.#options.perSecond);
    this.#canPace ??= pace === null ? null : this.#try(pace);
    return { pace: (await this.#canPace) ? pace : null, barred: this.#barred };
  }

  /** Looks who crowds the table. @returns whether the rules are other ones now. */
  async look(part: RouterPart): Promise<boolean> {
    const fill = await this.#table.fill();
    // As long as there is room, nobody is asked for.
    const guests = fill && isNearlyFull(fill) ? guestsOf(part) : NOBODY;
    const owners = new Map([...guests].flatMap(([id, all]) => all.map((each) => [each, id] as const)));
    const crowd = fill && owners.size > 0 ? crowding(await this.#table.countBy(owners), fill) : [];
    this.#seen = fill && { ...fill, barred: [...crowd] };
    const barred = crowd.flatMap((id) => guests.get(id) ?? []).sort();
    if (barred.join() === this.#barred.join()) return false;
    this.#barred = barred;
    if (crowd.length > 0)
      this.#options.log.warn(
        { guests: crowd, ...fill },
        'guests that crowd the table of connections begin none for now',
      );
    else
      this.#options.log.info(
        { ...fill },
        'the table of connections has room again: all guests begin connections',
      );
    return true;
  }

  async #try(pace: Pace): Promise<boolean> {
    try {
      await tryRules([composeSet('pace', 'ether_addr', ['52:54:00:00:00:01'], paceFlags(pace))]);
      return true;
    } catch (error) {
      this.#options.log.warn(
        { err: WeftError.from(error) },
        'this kernel or nft has no limits for elements of sets: guests begin connections as fast as they like',
      );
      return false;
    }
  }
}

type Guests = ReadonlyMap<string, readonly string[]>;

const NOBODY: Guests = new Map();

/** All addresses of each: of guests here by their ids, of those on other hosts by their first address. */
const guestsOf = ({ networks, router }: RouterPart): Guests =>
  new Map<string, readonly string[]>([
    ...(router?.routes ?? []).map(({ address, address6 }) => [address, [address, address6]] as const),
    ...networks.flatMap(({ leases }) =>
      leases.map(
        ({ vmId, address, address6 }) => [vmId, address6 ? [address, address6] : [address]] as const,
      ),
    ),
  ]);
