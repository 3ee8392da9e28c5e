import type { EdgeKeeper } from '../edge/keeper.ts';
import type { Logger } from '../kit/log.ts';
import type { NamesKeeper } from '../names/keeper.ts';
import type { HostNetwork } from '../network/contract.ts';

interface RemovalParts {
  readonly fleet: string;
  readonly edge: Pick<EdgeKeeper, 'follow'>;
  readonly names: Pick<NamesKeeper, 'follow'>;
  readonly network: Pick<HostNetwork, 'apply'>;
  readonly log: Pick<Logger, 'warn'>;
}

/**
 * What a host gives up of its own accord when it hears that an operator has removed it from its fleet: what it announces to the world, and its
 * place among the others' networks. Guests that should still be here run on, for their disks are nobody's to judge here, and reach nobody. A goal
 * that comes after all is followed like any other.
 */
export class Removal {
  readonly #parts: RemovalParts;
  #state: 'in-fleet' | 'leaving' | 'left' = 'in-fleet';

  constructor(parts: RemovalParts) {
    this.#parts = parts;
  }

  /** The controller takes it for a host of the fleet. */
  isIn(): void {
    this.#state = 'in-fleet';
  }

  /** Said at each dial: what has failed is tried again then. */
  async isOut(): Promise<void> {
    if (this.#state !== 'in-fleet') return;
    this.#state = 'leaving';
    const { fleet, edge, names, network, log } = this.#parts;
    log.warn(
      {},
      'this host was removed from its fleet: it serves nothing any more, and its guests reach nobody',
    );
    edge.follow(undefined);
    names.follow({});
    const left = await network.apply({ fleet, networks: [] }).then(
      () => true,
      (error: unknown) => {
        log.warn({ err: error }, 'what guests may reach could not be taken away; trying again');
        return false;
      },
    );
    if (this.#state === 'leaving') this.#state = left ? 'left' : 'in-fleet';
  }
}
