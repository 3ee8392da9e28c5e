import { randomUUID } from 'node:crypto';
import { lstat, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import { entriesOf } from '../kit/entries.ts';
import { ExclusiveRunner } from '../kit/exclusive-runner.ts';
import type { Logger } from '../kit/log.ts';
import { NAME_PATTERN } from '../kit/names.ts';
import { isSameDocument } from '../kit/same-document.ts';
import { MOST_PEERS, type PoolPeers } from '../protocol/index.ts';
import type { PoolConfiguration, PoolView } from './contract.ts';

/** A beat stays until the pool is mounted anew, or this long: a disk that sleeps is woken for it once an hour. */
const RENEW_MS = 3_600_000;
/** Between looks at what others have left: names and small files that a client has in its cache. */
const LOOK_MS = 10_000;
/** The same, while somebody has yet to be found. */
const SEEK_MS = 1_000;
const MOST_BYTES = 4_096;

const beatFile = z.object({ beat: z.uuid() });
const folderOf = (pool: PoolConfiguration) => join(pool.path, '.weft', 'hosts');

interface Mine {
  /** Which pool, on which file system. */
  readonly where: string;
  readonly beats: readonly string[];
  readonly writtenMs: number;
}

export interface PeersSeen {
  /** Since the last look began, ms. */
  readonly ageMs: number;
  readonly pools: readonly PoolPeers[];
}

export interface PoolPeersOptions {
  readonly host: string;
  readonly pools: readonly PoolConfiguration[];
  /** A clock that nobody sets. */
  readonly nowMs: () => number;
  readonly clock: Pick<Clock, 'after'>;
  readonly log: Pick<Logger, 'warn'>;
}

/**
 * Two folders may carry the mark of one pool and not be one: a copy, or a mount of another server. So each host leaves a file with a
 * word of its own in each pool that hosts share, `.weft/hosts/<host>.json`, and reads those of the others.
 */
export class PoolPeersBook {
  readonly #options: PoolPeersOptions;
  readonly #pools: readonly PoolConfiguration[];
  readonly #mine = new Map<string, Mine>();
  readonly #runner = new ExclusiveRunner();
  #views: readonly PoolView[] = [];
  /** Of which pools the last look was made. */
  #looked = '';
  #seen: { readonly atMs: number; readonly pools: readonly PoolPeers[] } | null = null;
  #sought = '';
  #timer: Timer | null = null;
  #problem = '';
  #changed: () => void = () => undefined;
  #closed = false;

  constructor(options: PoolPeersOptions) {
    this.#options = options;
    this.#pools = options.pools.filter(({ kind }) => kind === 'shared');
  }

  /** @param changed called when something else is found, or was left. */
  onChanged(changed: () => void): void {
    this.#changed = changed;
  }

  /** Called whenever the pools were looked at; works when it is time, and at once when it is another pool. */
  async follow(views: readonly PoolView[]): Promise<void> {
    this.#views = views;
    if (this.#pools.length === 0) return;
    const isDue = this.#seen === null || this.#options.nowMs() - this.#seen.atMs >= LOOK_MS;
    if (isDue || this.#looked !== this.#idsOf(views)) await this.#look();
  }

  /**
   * Looks at once, and again and again, until nobody has to be found any more.
   * @param sought pool → other hosts, as the newest goal says.
   */
  seek(sought: Readonly<Record<string, readonly string[]>>): void {
    const before = this.#sought;
    this.#sought = Object.keys(sought).length === 0 ? '' : JSON.stringify(sought);
    if (this.#sought !== '' && this.#sought !== before) this.#seekOn();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #seekOn(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#closed || this.#sought === '' || this.#pools.length === 0) return;
    void this.#look().finally(() => {
      this.#timer?.cancel();
      this.#timer = this.#options.clock.after(SEEK_MS, () => this.#seekOn());
    });
  }

  /** Which pools there are to be looked at. */
  #idsOf(views: readonly PoolView[]): string {
    return this.#pools.map(({ name }) => views.find((view) => view.name === name)?.id ?? '').join();
  }

  /** On storage that does not answer a look never ends, and none is begun beside it. */
  #look(): Promise<void> {
    return this.#runner.run('look', () => this.#lookAtAll());
  }

  async #lookAtAll(): Promise<void> {
    const { nowMs, log } = this.#options;
    const [atMs, views] = [nowMs(), this.#views];
    const pools: PoolPeers[] = [];
    for (const pool of this.#pools) {
      const id = views.find(({ name }) => name === pool.name)?.id;
      if (!id) continue;
      try {
        pools.push(await this.#lookAt(pool, id, atMs));
        this.#problem = '';
      } catch (error) {
        // Nothing is said of it, and what was known holds: a pool without room is no other pool.
        if (this.#problem !== String(error))
          log.warn({ err: error, pool: pool.name }, 'could not leave a beat in a pool that hosts share');
        this.#problem = String(error);
      }
    }
    const isNew = !isSameDocument(this.#seen?.pools ?? [], pools);
    this.#looked = this.#idsOf(views);
    this.#seen = { atMs, pools };
    if (isNew) this.#changed();
  }

  /** Null: nothing to say. */
  report(): PeersSeen | null {
    if (this.#seen === null || this.#seen.pools.length === 0) return null;
    return {
      ageMs: Math.max(0, Math.round(this.#options.nowMs() - this.#seen.atMs)),
      pools: this.#seen.pools,
    };
  }

  async #lookAt(pool: PoolConfiguration, id: string, atMs: number): Promise<PoolPeers> {
    const found = await readBeats(folderOf(pool));
    const { dev, ino } = await stat(pool.path);
    const where = `${id} ${dev} ${ino}`;
    let mine = this.#mine.get(pool.name);
    // Another beat of ours than the last one: what was mounted here is an older state, or a copy.
    const isHere = mine?.where === where && found.get(this.#options.host) === mine.beats[0];
    if (!mine || !isHere || atMs - mine.writtenMs >= RENEW_MS) {
      mine = {
        where,
        beats: [randomUUID(), ...(isHere ? (mine?.beats.slice(0, 1) ?? []) : [])],
        writtenMs: atMs,
      };
      await this.#write(pool, String(mine.beats[0]));
      this.#mine.set(pool.name, mine);
    }
    found.delete(this.#options.host);
    return { pool: pool.name, id, beats: [...mine.beats], seen: Object.fromEntries(found) };
  }

  async #write(pool: PoolConfiguration, beat: string): Promise<void> {
    const folder = folderOf(pool);
    // The pool's own folder is there: it was looked at.
    await mkdir(folder, { recursive: true });
    const own = `${this.#options.host}.json`;
    for (const { name } of await entriesOf(folder))
      if (name.startsWith(`${own}.`) && name.endsWith('.tmp')) await rm(join(folder, name), { force: true });
    await writeFileAtomic(join(folder, own), `${JSON.stringify({ beat })}\n`);
  }
}

/** Host → its beat. What is no such file is passed over. */
async function readBeats(folder: string): Promise<Map<string, string>> {
  const beats = new Map<string, string>();
  for (const { name } of await entriesOf(folder)) {
    const host = name.endsWith('.json') ? name.slice(0, -'.json'.length) : '';
    if (!NAME_PATTERN.test(host) || beats.size > MOST_PEERS) continue;
    const beat = await readBeat(join(folder, name));
    if (beat !== null) beats.set(host, beat);
  }
  return beats;
}

async function readBeat(file: string): Promise<string | null> {
  try {
    const found = await lstat(file);
    if (!found.isFile() || found.size > MOST_BYTES) return null;
    return beatFile.parse(JSON.parse(await readFile(file, 'utf8'))).beat;
  } catch {
    return null;
  }
}
