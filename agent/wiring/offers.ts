import type { BackupTargets } from '../backups/targets.ts';
import type { PoolView } from '../disks/contract.ts';
import type { PoolWatch } from '../disks/pool-watch.ts';
import type { Clock } from '../kit/clock.ts';
import { repeat } from '../kit/repeat.ts';

export const POOLS_EVERY_MS = 5_000;

type Offered = Awaited<ReturnType<BackupTargets['offers']>>;

/** What of pools and places for backups this host offers now. One that is mounted late, or goes away, changes it. */
export class Offers {
  readonly #watch: PoolWatch;
  readonly #targets: BackupTargets;
  #pools: readonly PoolView[] = [];
  #backups: Offered = [];

  constructor(watch: PoolWatch, targets: BackupTargets) {
    this.#watch = watch;
    this.#targets = targets;
  }

  get pools(): readonly PoolView[] {
    return this.#pools;
  }

  get backups(): Offered {
    return this.#backups;
  }

  async lookFirst(): Promise<void> {
    ({ pools: this.#pools } = await this.#watch.look());
    await this.#targets.prepare();
    this.#backups = await this.#targets.offers();
  }

  /** @param onChange the controller is to hear of it. @returns what ends it. */
  follow(clock: Clock, onChange: () => void): () => void {
    this.#watch.onSeen(({ pools }) => {
      const isChanged = pools.some(
        ({ id, problem }, index) => id !== this.#pools[index]?.id || problem !== this.#pools[index]?.problem,
      );
      if (!isChanged) return;
      this.#pools = pools;
      onChange();
    });
    const stopWatching = this.#watch.start();
    const stopBackups = repeat(
      clock,
      POOLS_EVERY_MS,
      async () => {
        const offered = await this.#targets.offers();
        if (offered.map(idOf).join() === this.#backups.map(idOf).join()) return;
        this.#backups = offered;
        onChange();
      },
      'later',
    );
    return () => {
      stopWatching();
      stopBackups();
    };
  }
}

const idOf = ({ id }: { readonly id: string }) => id;
