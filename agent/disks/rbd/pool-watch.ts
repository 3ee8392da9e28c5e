import { randomBytes, randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../../kit/clock.ts';
import { WeftError } from '../../kit/errors.ts';
import { plainAddress } from '../../protocol/index.ts';
import type { PoolView } from '../contract.ts';
import type { CephClient } from './ceph-client.ts';
import { MARK_OBJECT, SEEN_OBJECT, TRASH_OBJECT } from './names.ts';
import { askForFigures, type PoolFigures } from './pool-figures.ts';

/** Whether the pool answers. */
const LOOK_EVERY_MS = 5_000;
/** What it holds, and under which address this host is seen: that changes seldom, and asking takes half a second of a processor. */
const FIGURES_EVERY_MS = 60_000;
/** The same where the pool is full: its users wait for it. */
const FULL_EVERY_MS = 10_000;
const SEEN_S = '10';
const FIRST_LOOK_MS = 3_000;

const mark = z.object({ fleet: z.string(), id: z.uuid() });
const seen = z.object({ lockers: z.array(z.object({ cookie: z.string(), addr: z.string() })) });

/** The address of one locker, as Ceph sees it: `10.0.0.11` of `10.0.0.11:0/1234`, `fd00::11` of `[fd00::11]:0/1234`. Null: it is not there. */
export function addressSeen(text: string, cookie: string): string | null {
  const addr = seen.parse(JSON.parse(text)).lockers.find((each) => each.cookie === cookie)?.addr;
  const address = /^(?:v[12]:)?(.+):\d+\/\d+$/.exec(addr ?? '')?.[1];
  return address === undefined ? null : plainAddress(address);
}

/** Looks again and again whether a pool can be used. Who asks never waits for Ceph: it is told what was last seen. */
export class RbdPoolWatch {
  readonly #client: CephClient;
  readonly #clock: Clock;
  readonly #fenced: readonly string[] | null;
  #fleet = '';
  #figures: PoolFigures | null = null;
  #isChecked = false;
  #figuresAtMs = Number.NEGATIVE_INFINITY;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;
  #view: PoolView;

  /** @param fenced addresses by which this host's storage fence would shut it out; null: it has none. */
  constructor(client: CephClient, clock: Clock, fenced: readonly string[] | null) {
    this.#client = client;
    this.#clock = clock;
    this.#fenced = fenced;
    this.#view = this.#unusable('it was not looked at yet');
  }

  /** The first look, which is waited for, but not for long: a host whose Ceph does not answer has other things to do. */
  async begin(fleet: string): Promise<void> {
    this.#fleet = fleet;
    await Promise.race([this.#look(), this.#clock.sleep(FIRST_LOOK_MS)]);
  }

  view(): PoolView {
    if (this.#clock.now() - this.#lookedAtMs >= LOOK_EVERY_MS) void this.#look();
    return this.#view;
  }

  /** @throws WeftError when the pool cannot be used now. */
  async require(): Promise<void> {
    await this.#requireMark();
  }

  /** @throws WeftError `no-capacity` when what is written would wait for room. */
  requireRoom(): void {
    if (!this.#figures?.isFull) return;
    const { name, pool } = this.#client.pool;
    throw new WeftError('no-capacity', `pool ${name} is full: Ceph takes no writes into its pool ${pool}`, {
      remedy: 'Delete machines, raise its quota, or add OSDs.',
    });
  }

  /** Makes it this fleet's, unless it is. @returns its id. */
  async init(fleet: string): Promise<string> {
    const found = await this.#readMark();
    if (found) requireFleet(found.fleet, fleet);
    const id = found?.id ?? randomUUID();
    if (!found) await this.#client.writeObject(MARK_OBJECT, `${JSON.stringify({ fleet, id })}\n`);
    return id;
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookOnce()
      .then((view) => {
        this.#view = view;
      })
      .finally(() => {
        this.#lookedAtMs = this.#clock.now();
        this.#looking = null;
      });
    return this.#looking;
  }

  async #lookOnce(): Promise<PoolView> {
    try {
      const { id } = await this.#requireMark();
      const figures = await this.#currentFigures();
      return { name: this.#client.pool.name, kind: 'rbd', id, ...figures, problem: null };
    } catch (thrown) {
      const { message, remedy } = WeftError.from(thrown);
      return this.#unusable(`${message}${remedy ? `. ${remedy}` : ''}`);
    }
  }

  async #requireMark(): Promise<{ id: string }> {
    await this.#client.requireAccess();
    const found = await this.#readMark();
    const { name, pool } = this.#client.pool;
    if (!found)
      throw new WeftError('not-found', `Ceph's pool ${pool} has no mark of a fleet`, {
        remedy: `If it is new, make it one of Weft's, on one host: weft-agent --init-pool ${name}`,
      });
    requireFleet(found.fleet, this.#fleet);
    return found;
  }

  async #readMark(): Promise<z.infer<typeof mark> | null> {
    const text = await this.#client.readObject(MARK_OBJECT);
    return text === null ? null : mark.parse(JSON.parse(text));
  }

  async #currentFigures(): Promise<PoolFigures> {
    const nowMs = this.#clock.now();
    const everyMs = this.#figures?.isFull ? FULL_EVERY_MS : FIGURES_EVERY_MS;
    if (this.#figures && nowMs - this.#figuresAtMs < everyMs) return this.#figures;
    this.#figures = await this.#checkedFigures();
    this.#figuresAtMs = nowMs;
    return this.#figures;
  }

  async #checkedFigures(): Promise<PoolFigures> {
    const figures = await askForFigures(this.#client);
    if (figures.isFull) return this.#requireChecked(figures);
    try {
      await this.#check();
      return figures;
    } catch (error) {
      // It may have run full in this very moment.
      const now = await askForFigures(this.#client);
      if (!now.isFull) throw error;
      return this.#requireChecked(now);
    }
  }

  /** What is asked by writing, which a full pool would keep waiting. */
  async #check(): Promise<void> {
    await this.#requireFenceable();
    // Images are removed by way of the trash: in a full pool it could not be begun, and nothing be removed.
    if (!this.#isChecked) await this.#client.rados(['touch', TRASH_OBJECT]);
    this.#isChecked = true;
  }

  #requireChecked(figures: PoolFigures): PoolFigures {
    if (this.#isChecked || this.#fenced === null) return figures;
    throw new WeftError(
      'no-capacity',
      'it is full, so that it cannot be found out under which address Ceph sees this host',
      { remedy: 'Raise its quota, or add OSDs' },
    );
  }

  /** A fence that shuts another address out would prove what is not so. */
  async #requireFenceable(): Promise<void> {
    if (this.#fenced === null) return;
    const cookie = randomBytes(8).toString('hex');
    const lock = [SEEN_OBJECT, 'seen'];
    await this.#client.rados([
      ...['lock', 'get', ...lock, '--lock-type', 'shared'],
      ...['--lock-cookie', cookie, '--lock-duration', SEEN_S],
    ]);
    const address = addressSeen(
      await this.#client.rados(['lock', 'info', ...lock, '--format', 'json']),
      cookie,
    );
    if (address !== null && this.#fenced.includes(address)) return;
    throw new WeftError(
      'set-up',
      `Ceph sees this host as ${address ?? 'unknown'}, and its storage fence would shut out ${this.#fenced.join(', ')}`,
      { remedy: 'Name that address under fence in agent.yaml, and start the agent again' },
    );
  }

  #unusable(problem: string): PoolView {
    const { name } = this.#client.pool;
    const view = { name, kind: 'rbd' as const, id: null, freeMiB: 0, totalMiB: 0 };
    return { ...view, problem: `pool ${name} cannot be used: ${problem}` };
  }
}

function requireFleet(owner: string, fleet: string): void {
  if (owner === fleet) return;
  throw new WeftError('conflict', `it belongs to another fleet, ${owner}`, {
    remedy: `Give this fleet a pool of its own, or remove the object ${MARK_OBJECT} if that fleet is gone`,
  });
}
