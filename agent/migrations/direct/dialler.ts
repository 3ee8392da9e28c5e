import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../kit/clock.ts';
import type { Logger } from '../../kit/log.ts';
import { type MigrationChannel, migrationPath, type OutgoingMigration } from '../../protocol/index.ts';
import { askFor, type DirectTarget, openLine } from './direct-line.ts';
import type { LineIdentity } from './tls.ts';

export interface DiallerOptions {
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
  spare: Promise<TLSSocket | null> | null;
  /** It leads nowhere: no time is lost on it once more. */
  isClosed: boolean;
}

/** Connections of migrations that leave this host: straight to the other one where it lets them in, else through the controller. */
export class MigrationDialler {
  readonly #options: DiallerOptions;
  /** For as long as an order is the one that is carried out. */
  readonly #ways = new WeakMap<OutgoingMigration, Way>();

  constructor(options: DiallerOptions) {
    this.#options = options;
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
    const ask = (line: TLSSocket) => askFor(line, path, target.host.name, ASK_LIMIT_MS);
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

  #open(target: DirectTarget): Promise<TLSSocket> {
    const { identity, clock } = this.#options;
    return openLine(target, identity(), OPEN_LIMIT_MS, () => clock.now());
  }

  #ahead(target: DirectTarget): Promise<TLSSocket | null> {
    return this.#open(target).then(
      (line) => line.setTimeout(SPARE_IDLE_MS, () => line.destroy()),
      () => null,
    );
  }
}
