import type { VmGoal } from '../protocol/index.ts';

/** How long a guest stood still on its way here, and how long all of it took, ms. */
export interface Landing {
  readonly downtimeMs: number;
  readonly totalMs: number;
}

type Landed = Pick<VmGoal, 'id' | 'incarnation'>;

const keyOf = ({ id, incarnation }: Landed): string => `${id}@${incarnation}`;

/** Guests that have come here with their disks, and stand still until they are let run on: that time counts as well. */
export class Landings {
  readonly #all = new Map<string, Landing & { readonly atMs: number }>();

  /** @param landing by the hypervisor's count. @param atMs when it was seen here. */
  note(vm: Landed, landing: Landing, atMs: number): void {
    this.#all.set(keyOf(vm), { ...landing, atMs });
  }

  /** Null: it came to an agent before this one. */
  take(vm: Landed, nowMs: number): Landing | null {
    const key = keyOf(vm);
    const found = this.#all.get(key);
    this.#all.delete(key);
    if (!found) return null;
    const stoodMs = Math.max(0, Math.round(nowMs - found.atMs));
    return { downtimeMs: found.downtimeMs + stoodMs, totalMs: found.totalMs + stoodMs };
  }
}
