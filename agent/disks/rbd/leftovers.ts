import { z } from 'zod';
import type { Clock } from '../../kit/clock.ts';
import { type CephClient, isBusy, isMissing } from './ceph-client.ts';
import { infoOf } from './images.ts';
import { isGolden, isHalfMade } from './names.ts';

/** A golden image on which machines' disks lie is not asked for them again for so long: each asking is a program. */
const USED_MS = 600_000;
/** Twice as long as anything of ours is in the making. */
const HALF_MADE_MS = 7_200_000;
/** How long what was put into the trash can still be had back, and has its data: longer than any `rbd clone` that had it open lives. */
const TRASHED = '10 minutes';
/** What is not done by then is gone on with at the next look. */
const REMOVE_LIMIT_MS = 120_000;

/**
 * An image of ours that may be left over. `golden`: no disk lies on it. `half-made`: it has been so for longer than anything takes.
 * `trashed`: it was one of these, and nobody can begin to use it any more.
 */
export interface CephLeftover {
  /** As the host calls it. */
  readonly pool: string;
  readonly kind: 'golden' | 'half-made' | 'trashed';
  readonly image: string;
  /** Ceph's own: a name can be another image's later. */
  readonly id: string;
}

const names = z.array(z.string());
const children = z.array(z.unknown());
const trash = z.array(z.object({ id: z.string(), name: z.string(), status: z.string() }));
const snapshots = z.array(
  z.object({ name: z.string(), protected: z.string(), namespace: z.object({ type: z.string() }) }),
);

/** Names and ids of what is in Ceph's trash by this fleet's hosts, and has been there for its time. From `rbd trash ls --long --format json`. */
export function readTrash(text: string): readonly { readonly id: string; readonly name: string }[] {
  return trash
    .parse(JSON.parse(text))
    .filter(({ name, status }) => (isGolden(name) || isHalfMade(name)) && status.startsWith('expired'));
}

/** From `rbd snap ls --all --format json`. Those of namespace `trash` were removed already, and are kept by clones. */
export function readSnapshots(text: string) {
  const found = snapshots.parse(JSON.parse(text));
  return {
    protected: found.filter((each) => each.protected === 'true').map(({ name }) => name),
    any: found.some(({ namespace }) => namespace.type === 'user'),
  };
}

/**
 * Finds and removes what is left over in one pool. Hosts do it at once, and each of them may die in it: an image goes into Ceph's trash
 * first, where none can find it by its name, and its name is free for one that is imported anew. A clone that was under way is done by the
 * time it is removed for good: on what has one, Ceph refuses to remove the snapshot, or keeps it for the clone.
 */
export class RbdLeftovers {
  readonly #client: CephClient;
  readonly #clock: Clock;
  /** Image, or id of one in the trash → until when it is taken to be used. */
  readonly #usedUntilMs = new Map<string, number>();
  /** Id of a half-made image → when this host first saw it. */
  readonly #sinceMs = new Map<string, number>();

  constructor(client: CephClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  async look(): Promise<readonly CephLeftover[]> {
    const { name: pool } = this.#client.pool;
    const all = names.parse(
      JSON.parse(await this.#client.rbd('ls', this.#client.pool.pool, '--format', 'json')),
    );
    const found: CephLeftover[] = [];
    for (const image of all.filter(isGolden)) {
      if (this.#isUsed(image) || (await this.#hasClones(image))) continue;
      const id = (await infoOf(this.#client, image))?.id;
      if (id !== undefined) found.push({ pool, kind: 'golden', image, id });
    }
    for (const { image, id } of await this.#halfMade(all)) found.push({ pool, kind: 'half-made', image, id });
    const trashed = ['trash', 'ls', this.#client.pool.pool, '--long', '--format', 'json'];
    for (const { id, name } of readTrash(await this.#client.rbd(...trashed)))
      if (!this.#isUsed(id)) found.push({ pool, kind: 'trashed', image: name, id });
    return found;
  }

  /** @returns whether it is gone, or in the trash; false: something lies on it. */
  async remove({ kind, image, id }: CephLeftover): Promise<boolean> {
    if (kind === 'trashed') return this.#removeForGood(id);
    const info = await infoOf(this.#client, image);
    if (info?.id !== id) return true;
    if (kind === 'golden' && (await this.#hasClones(image))) return false;
    try {
      await this.#client.rbd('trash', 'mv', this.#client.spec(image), '--expires-at', TRASHED);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    return true;
  }

  async #halfMade(all: readonly string[]): Promise<readonly { image: string; id: string }[]> {
    const nowMs = this.#clock.now();
    const there = new Set<string>();
    const old: { image: string; id: string }[] = [];
    for (const image of all.filter(isHalfMade)) {
      const id = (await infoOf(this.#client, image))?.id;
      if (id === undefined) continue;
      there.add(id);
      const sinceMs = this.#sinceMs.get(id) ?? nowMs;
      this.#sinceMs.set(id, sinceMs);
      if (nowMs - sinceMs >= HALF_MADE_MS) old.push({ image, id });
    }
    for (const id of this.#sinceMs.keys()) if (!there.has(id)) this.#sinceMs.delete(id);
    return old;
  }

  async #hasClones(image: string): Promise<boolean> {
    const text = await this.#client.rbd('children', this.#client.spec(image), '--all', '--format', 'json');
    const isUsed = children.parse(JSON.parse(text)).length > 0;
    if (isUsed) this.#use(image);
    return isUsed;
  }

  async #removeForGood(id: string): Promise<boolean> {
    const image = ['--pool', this.#client.pool.pool, '--image-id', id];
    try {
      const found = readSnapshots(
        await this.#client.rbd('snap', 'ls', ...image, '--all', '--format', 'json'),
      );
      for (const name of found.protected)
        await this.#client.rbd('snap', 'unprotect', ...image, '--snap', name);
      if (found.any) await this.#client.rbd('snap', 'purge', ...image, '--no-progress');
      const spec = `${this.#client.pool.pool}/${id}`;
      await this.#client.rbdWithin(REMOVE_LIMIT_MS, 'trash', 'rm', spec, '--no-progress');
    } catch (error) {
      if (isBusy(error)) this.#use(id);
      else if (!isMissing(error)) throw error;
      return !isBusy(error);
    }
    return true;
  }

  #isUsed(key: string): boolean {
    const untilMs = this.#usedUntilMs.get(key);
    if (untilMs !== undefined && untilMs <= this.#clock.now()) this.#usedUntilMs.delete(key);
    return this.#usedUntilMs.has(key);
  }

  #use(key: string): void {
    this.#usedUntilMs.set(key, this.#clock.now() + USED_MS);
  }
}
