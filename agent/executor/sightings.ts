import type { DomainView } from '../hypervisor/driver.ts';
import { isSameDocument } from '../kit/same-document.ts';
import type { Goal, Report } from '../protocol/index.ts';
import { leaving, type Observed, unnamed } from './plan.ts';
import { Strangers } from './strangers.ts';

/** What is here and in no goal, or was not at the last look: strangers, what is on its way out, and since when things are unnamed. */
export class Sightings {
  readonly #strangers = new Strangers();
  readonly #unnamedSinceMs = new Map<string, number>();
  /** Revision of the goal that the host was last looked at with, and what was then on its way out. */
  #looked: { readonly revision: number; readonly epoch: number | null; readonly leaving: readonly string[] } =
    {
      ...{ revision: 0, epoch: null, leaving: [] },
    };

  /** When something of ours that the goal does not name was first seen so: domain name or disk path → Unix ms. */
  get unnamedSinceMs(): ReadonlyMap<string, number> {
    return this.#unnamedSinceMs;
  }

  /** @returns whether there is something new to tell. */
  note(
    goal: Goal,
    present: Pick<Observed, 'disks' | 'folders'> & { readonly domains: readonly DomainView[] },
    busy: ReadonlySet<string>,
    nowMs: number,
  ): boolean {
    this.#quarantine(unnamed(goal, present), nowMs);
    const before = this.report();
    this.#strangers.update(goal, present.domains, present.disks);
    const { revision, epoch } = goal;
    this.#looked = { revision, epoch, leaving: leaving(goal, present, busy) };
    return !isSameDocument(this.report(), before);
  }

  report(): Pick<Report, 'revisionSeen' | 'epochSeen' | 'strangers' | 'leaving'> {
    const { revision, epoch } = this.#looked;
    return {
      revisionSeen: revision,
      ...(epoch === null ? {} : { epochSeen: epoch }),
      strangers: [...this.#strangers.list()],
      leaving: [...this.#looked.leaving],
    };
  }

  #quarantine(keys: readonly string[], nowMs: number): void {
    const present = new Set(keys);
    for (const key of this.#unnamedSinceMs.keys()) if (!present.has(key)) this.#unnamedSinceMs.delete(key);
    for (const key of keys) if (!this.#unnamedSinceMs.has(key)) this.#unnamedSinceMs.set(key, nowMs);
  }
}
