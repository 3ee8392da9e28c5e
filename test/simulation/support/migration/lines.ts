import type { Duplex } from 'node:stream';
import type { Clock } from '../../../../agent/kit/clock.ts';
import { WeftError } from '../../../../agent/kit/errors.ts';
import { MigrationRelay } from '../../../../controller/fleet/migration-relay.ts';
import type { Store } from '../../../../controller/store/contract.ts';
import type { Random } from '../random.ts';
import type { Activity } from '../settle.ts';
import type { SimulatedFleet } from '../simulated-fleet.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import { whenBegun } from './begun.ts';
import { type Carry, connection } from './connection.ts';

const DIAL_LIMIT_MS = 20_000;
/** How long bytes are on their way, at most, ms. */
const CARRIED_WITHIN_MS = 5;

export interface LinesOptions {
  readonly store: Store;
  readonly fleet: SimulatedFleet;
  /** Of the fabric, and of the controller's process. */
  readonly clock: Clock;
  readonly ownClock: Clock;
  readonly random: Random;
  readonly activity: Activity;
}

/** Connections of agents to one life of a controller that carry bytes: the real relay between wires in memory. */
export class MigrationLines {
  readonly #options: LinesOptions;
  readonly #relay: MigrationRelay;

  constructor(options: LinesOptions) {
    this.#options = options;
    const { store, ownClock, fleet } = options;
    this.#relay = new MigrationRelay({
      store,
      clock: ownClock,
      ask: (host, request) => fleet.openOn(host, { type: 'open-stream', ...request }),
    });
  }

  close(): void {
    this.#relay.close();
  }

  /** As an agent dials. @throws WeftError `host-unreachable`. */
  dial(host: SimulatedHost, path: string): Promise<Duplex> {
    const { clock } = this.#options;
    if (!host.hears) return Promise.reject(new WeftError('host-unreachable', 'no way to the controller'));
    const [near, far] = this.#wire(host);
    this.#carry(host, () =>
      this.#relay.accept(host.name, path, far, Buffer.alloc(0)).catch((error: unknown) => {
        far.end(WeftError.from(error).message);
      }),
    );
    return whenBegun(near, path, clock, DIAL_LIMIT_MS);
  }

  /** In a cut it breaks with the next thing that is to pass. */
  #wire(host: SimulatedHost): readonly [Duplex, Duplex] {
    let isBroken = false;
    const carrying = (isToHost: boolean): Carry => {
      let lastMs = 0;
      return (arrive) => {
        const { clock, random, activity } = this.#options;
        activity.note();
        if (isBroken) return;
        const wayMs = random.between(1, CARRIED_WITHIN_MS) + random.between(0, host.weather.lateMs);
        lastMs = Math.max(lastMs, clock.now() + wayMs);
        clock.after(lastMs - clock.now(), () => {
          const pass = () => {
            activity.note();
            if (host.hears) arrive();
            else sever();
          };
          if (isToHost) host.whenRunning(pass);
          else this.#options.fleet.whenRunning(pass);
        });
      };
    };
    const [near, far] = connection(carrying(false), carrying(true));
    const sever = () => {
      isBroken = true;
      near.destroy();
      far.destroy();
    };
    host.onCut(sever);
    near.once('close', () => host.offCut(sever));
    return [near, far];
  }

  #carry(host: SimulatedHost, arrive: () => void): void {
    const { clock, random, activity, fleet } = this.#options;
    clock.after(random.between(1, CARRIED_WITHIN_MS) + random.between(0, host.weather.lateMs), () =>
      fleet.whenRunning(() => {
        activity.note();
        arrive();
      }),
    );
  }
}
