import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../kit/clock.ts';
import type { Logger } from '../../kit/log.ts';
import { type MigrationChannel, migrationPath, type OutgoingMigration } from '../../protocol/index.ts';
import { askFor, type DirectTarget, openLine } from './direct-line.ts';
import type { LineIdentity } from './tls.ts';

/** A connection to another host, of which nothing was asked yet. */
export type IdleLine = Duplex & { setTimeout(ms: number, onTimeout?: () => void): unknown };

/** How connections to other hosts are had. @throws WeftError `host-unreachable`, `forbidden`. */
export interface DirectLines<Line extends IdleLine = IdleLine> {
  open(target: DirectTarget, limitMs: number): Promise<Line>;
  /** Asks for one connection of a migration over a line. */
  ask(line: Line, path: string, host: string, limitMs: number): Promise<Duplex>;
}

export interface DiallerOptions {
  /** Default: over TLS, with this host's identity. */
  readonly lines?: DirectLines;
  readonly identity: () => LineIdentity;
  /** By the controller, which reaches every host. */
  readonly relay: (path: string) => Promise<Duplex>;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Logger;
}

/** Another host that has not answered by then is behind a wall; the guest runs on meanwhile. */
const OPEN_LIMIT_MS = 1_500;
/** It connects to what is on its own host. */
const ASK_LIMIT_MS = 12_000;

/** Less than the other host waits to be asked. */
const SPARE_IDLE_MS = 8_000;

interface Way {
  /** Ready for a connection that the guest stands still for. It resolves to null when it could not be had. */
  spare: Promise<IdleLine | null> | null;
  /** It leads nowhere: no time is lost on it once more. */
  isClosed: boolean;
}

/** Connections of migrations that leave this host: straight to the other one where it lets them in, else through the controller. */
export class MigrationDialler {
  readonly #options: DiallerOptions;
  readonly #lines: DirectLines;
  /** For as long as an order is the one that is carried out. */
  readonly #ways = new WeakMap<OutgoingMigration, Way>();

  constructor(options: DiallerOptions) {
    this.#options = options;
    this.#lines = options.lines ?? overTls(options);
  }

  async dial(order: OutgoingMigration, channel: MigrationChannel): Promise<Duplex> {
    const path = migrationPath(order.id, order.incarnation, channel);
    return (await this.#straight(order, channel, path)) ?? this.#options.relay(path);
  }

  async #straight(order: OutgoingMigration, channel: MigrationChannel, path: string): Promise<Duplex | null> {
    const way = this.#wayOf(order);
    if (!order.direct || way.isClosed) return null;
    const { address, port, certifiedFromMs } = order.direct;
    const target = { address, port, host: { name: order.to, certifiedFromMs } };
    try {
      const line = await this.#lineOf(way, target, path);
      // The memory follows, when the guest stands still: what can be done before is.
      if (channel === 'control') way.spare = this.#ahead(target);
      return line;
    } catch (error) {
      this.#options.log.warn({ err: error, vm: order.id, to: order.to }, 'it goes through the controller');
      way.isClosed = true;
      return null;
    }
  }

  #wayOf(order: OutgoingMigration): Way {
    const known = this.#ways.get(order) ?? { spare: null, isClosed: false };
    this.#ways.set(order, known);
    return known;
  }

  async #lineOf(way: Way, target: DirectTarget, path: string): Promise<Duplex> {
    const ask = (line: IdleLine) => this.#lines.ask(line, path, target.host.name, ASK_LIMIT_MS);
    const spare = await way.spare;
    way.spare = null;
    if (spare && !spare.destroyed) {
      spare.setTimeout(0);
      // It may have ended unseen.
      const line = await ask(spare).catch(() => null);
      if (line) return line;
    }
    return ask(await this.#open(target));
  }

  #open(target: DirectTarget): Promise<IdleLine> {
    return this.#lines.open(target, OPEN_LIMIT_MS);
  }

  #ahead(target: DirectTarget): Promise<IdleLine | null> {
    return this.#open(target).then(
      (line) => {
        line.setTimeout(SPARE_IDLE_MS, () => line.destroy());
        return line;
      },
      () => null,
    );
  }
}

const overTls = ({ identity, clock }: DiallerOptions): DirectLines => {
  const lines: DirectLines<TLSSocket> = {
    open: (target, limitMs) => openLine(target, identity(), limitMs, () => clock.now()),
    ask: askFor,
  };
  return lines as DirectLines;
};
