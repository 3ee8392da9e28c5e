import { z } from 'zod';
import type { Clock } from '../../kit/clock.ts';
import { parseOwner } from '../owner.ts';
import type { CephClient } from './ceph-client.ts';
import { machineOf, ownerObject } from './names.ts';

/** How long what was seen is believed; what this host does itself is seen at once. */
const FRESH_MS = 10_000;
/** A pool that did not answer is not asked again at once: the rest of the host goes on without it. */
const REST_MS = 5_000;
/** Other hosts' disks are asked for less often: each costs a program. */
const OTHERS_MS = 120_000;
const AT_ONCE = 4;

const names = z.array(z.string());

interface Seen {
  readonly atMs: number;
  /** All machines that have a disk in the pool. */
  readonly all: readonly string[];
  /** Those that this host had last. */
  readonly mine: readonly string[];
}

/** Which machines' disks are in a pool. */
export class RbdListing {
  readonly #client: CephClient;
  readonly #host: string;
  readonly #clock: Clock;
  readonly #answers: () => boolean;
  readonly #owners = new Map<string, { readonly host: string | null; readonly atMs: number }>();
  #seen: Seen | null = null;
  #isStale = true;
  #failedAtMs = Number.NEGATIVE_INFINITY;

  /** @param answers whether the pool did when it was last looked at: one that did not is not waited for. */
  constructor(client: CephClient, host: string, clock: Clock, answers: () => boolean) {
    this.#answers = answers;
    this.#client = client;
    this.#host = host;
    this.#clock = clock;
  }

  /** This host has done something to a machine's disk. */
  forget(vmId: string): void {
    this.#owners.delete(vmId);
    this.#isStale = true;
  }

  /**
   * Ids of machines whose disks this host had last.
   * @param also of these, whoever had them. One that cannot be looked for is said to be there: what is deleted is not gone before it was seen to be.
   */
  async machines(also: ReadonlySet<string>): Promise<readonly string[]> {
    const isLooked = await this.#look(also.size > 0);
    const { all = [], mine = [] } = this.#seen ?? {};
    const wanted = isLooked ? all.filter((vmId) => also.has(vmId)) : [...also];
    return [...new Set([...mine, ...wanted])].sort();
  }

  /** @returns whether what is known is fresh. */
  async #look(isNeeded: boolean): Promise<boolean> {
    const nowMs = this.#clock.now();
    const isFresh = !this.#isStale && this.#seen !== null && nowMs - this.#seen.atMs < FRESH_MS;
    if (isFresh && !isNeeded) return true;
    if (nowMs - this.#failedAtMs < REST_MS || !this.#answers()) return false;
    try {
      this.#isStale = false;
      this.#seen = await this.#list(nowMs);
      return true;
    } catch {
      this.#isStale = true;
      this.#failedAtMs = this.#clock.now();
      return false;
    }
  }

  async #list(atMs: number): Promise<Seen> {
    const { pool } = this.#client.pool;
    const images = names.parse(JSON.parse(await this.#client.rbd('ls', pool, '--format', 'json')));
    const all = images.flatMap((image) => machineOf(image) ?? []);
    const wanted = all.filter((vmId) => this.#isDue(vmId, atMs));
    for (let index = 0; index < wanted.length; index += AT_ONCE)
      await Promise.all(wanted.slice(index, index + AT_ONCE).map((vmId) => this.#readOwner(vmId, atMs)));
    for (const vmId of this.#owners.keys()) if (!all.includes(vmId)) this.#owners.delete(vmId);
    return { atMs, all, mine: all.filter((vmId) => this.#owners.get(vmId)?.host === this.#host) };
  }

  async #readOwner(vmId: string, atMs: number): Promise<void> {
    const text = await this.#client.readObject(ownerObject(vmId));
    this.#owners.set(vmId, { host: text === null ? null : (parseOwner(text)?.host ?? null), atMs });
  }

  /** Another host's disk becomes this one's by this one only; one of this host's may have been taken over. */
  #isDue(vmId: string, nowMs: number): boolean {
    const owner = this.#owners.get(vmId);
    return owner?.host == null || owner.host === this.#host || nowMs - owner.atMs >= OTHERS_MS;
  }
}
