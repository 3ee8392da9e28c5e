import { digestOf } from '../disks/blob-files.ts';
import type { BlobCache, PoolConfiguration } from '../disks/contract.ts';
import type { Space } from '../disks/pool-watch.ts';
import type { RbdDisks } from '../disks/rbd/rbd-disks.ts';
import type { HypervisorDriver } from '../hypervisor/driver.ts';
import type { Clock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import { ExclusiveRunner } from '../kit/exclusive-runner.ts';
import type { Logger } from '../kit/log.ts';
import { repeat } from '../kit/repeat.ts';
import type { HostLinks, HostNetwork } from '../network/contract.ts';
import type { DoctorReport } from '../protocol/index.ts';
import { chainOf, digestOfBlob } from './chains.ts';
import { examine } from './examine.ts';
import { type Finding, keyOf, type Repair } from './findings.ts';
import { type LookOptions, look } from './look/look.ts';
import { Repairer } from './repairs.ts';
import { describeRepair, MOST_FINDINGS, reportOf } from './report.ts';
import { isFull } from './rules/low-space.ts';
import { neededBlobs } from './rules/unneeded-blobs.ts';
import { fullPools, SpaceGuard } from './space-guard.ts';
import type { DoctorLimits, DoctorWorld } from './world.ts';

export interface DoctorSettings extends DoctorLimits {
  /** Between looks. */
  readonly everyMs: number;
  /** What is to be removed was seen for so long before. */
  readonly graceMs: number;
  /** The same for blobs and golden images that nothing needs; at once where space has run out. */
  readonly cacheGraceMs: number;
}

export interface DoctorOptions extends LookOptions {
  readonly pools: readonly PoolConfiguration[];
  readonly driver: Pick<HypervisorDriver, 'listDomains' | 'listNetworks' | 'unpauseDomain' | 'onEvent'>;
  readonly cache: Pick<BlobCache, 'prune'>;
  readonly ceph?: Pick<RbdDisks, 'leftovers' | 'removeLeftover'>;
  readonly links: HostLinks;
  readonly network: Pick<HostNetwork, 'apply' | 'remove'>;
  readonly settings: DoctorSettings;
  readonly clock: Clock;
  readonly log: Logger;
  /** It has looked: the executor, who looks when something happens only, may look as well. */
  readonly onLooked: () => void;
  /** What is reported has changed. */
  readonly onChange: () => void;
}

export interface Examination {
  /** Whose question this answers; told in the report. */
  readonly requestId: string;
  /** Repair what can be, without waiting for the grace time. */
  readonly repair: boolean;
  /** Read the layers below disks again. */
  readonly digests: boolean;
}

const MOST_ANSWERED = 16;

/**
 * Looks after what is on this host: keeps when something was first seen to be wrong, repairs what is safe once it was so for the
 * grace time, and follows the space that guests need. What it has seen is in the report. A restart of the agent begins all grace times anew.
 */
export class Doctor {
  readonly #options: DoctorOptions;
  readonly #repairer: Repairer;
  readonly #space: SpaceGuard;
  readonly #runner = new ExclusiveRunner();
  /** Finding → when it was first seen, Unix ms. */
  readonly #sinceMs = new Map<string, number>();
  readonly #damaged = new Set<string>();
  readonly #stops: (() => void)[] = [];
  #spaces: readonly Space[] = [];
  #findings: readonly Finding[] = [];
  #atMs = 0;
  /** The newest last. */
  #answered: readonly string[] = [];
  #problem: string | undefined;

  constructor(options: DoctorOptions) {
    this.#options = options;
    this.#repairer = new Repairer({ ...options, blobs: () => this.#blobsNow() });
    this.#space = new SpaceGuard(options.driver, options.settings, options.log);
    this.#stops.push(
      options.driver.onEvent((event) => {
        // The watch says itself what went wrong, when it looks the next time.
        if (event.type === 'io-error') void options.watch.look().catch(() => undefined);
      }),
      options.watch.onSeen(({ spaces }) => this.#followSpace(spaces)),
    );
  }

  start(): void {
    const { everyMs } = this.#options.settings;
    const { clock } = this.#options;
    this.#stops.push(repeat(clock, everyMs, () => this.lookNow(), 'now'));
  }

  /** Looks, repairs what is due, and looks again if it did. Never throws: what went wrong is logged and reported. */
  lookNow(request?: Examination): Promise<void> {
    return this.#runner.run('look', async () => {
      try {
        this.#problem = undefined;
        if (request?.digests) await this.#readLayers();
        const due = await this.#examine(request?.repair === true);
        if (due.length > 0) {
          for (const finding of due) await this.#repair(finding);
          await this.#examine(false);
        }
      } catch (error) {
        this.#problem = WeftError.from(error).message;
        this.#options.log.warn({ err: error }, 'the doctor could not look at this host');
      }
      this.#atMs = this.#options.clock.now();
      if (request) this.#answered = [...this.#answered, request.requestId].slice(-MOST_ANSWERED);
      this.#options.onChange();
      this.#options.onLooked();
    });
  }

  /** A pool that has run out of space is told at once, and what the cache can spare goes. */
  #followSpace(spaces: readonly Space[]): Promise<void> {
    return this.#runner.run('space', async () => {
      const { settings, clock, log, onChange } = this.#options;
      try {
        const before = fullPools(this.#spaces, settings);
        this.#spaces = spaces;
        const full = fullPools(this.#spaces, settings);
        if (JSON.stringify(full) !== JSON.stringify(before)) {
          log.warn({ full }, 'pools without space');
          onChange();
          void this.lookNow();
        }
        await this.#space.resume(this.#spaces, clock.now());
      } catch (error) {
        log.warn({ err: error }, 'could not let guests run on');
      }
    });
  }

  /** Undefined before the first look. */
  report(): DoctorReport | undefined {
    if (this.#atMs === 0) return undefined;
    return {
      atMs: this.#atMs,
      answered: [...this.#answered],
      ...(this.#problem === undefined ? {} : { problem: this.#problem.slice(0, 1024) }),
      count: this.#findings.length,
      fullPools: [...fullPools(this.#spaces, this.#options.settings)],
      findings: this.#findings
        .slice(0, MOST_FINDINGS)
        .map((finding) => reportOf(finding, this.#sinceMs.get(keyOf(finding)) ?? this.#atMs)),
    };
  }

  /** What is under way may be cut short by the end of the process: each removal is one step, and the next look finds the rest. */
  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  /** @returns what is to be repaired now. */
  async #examine(withoutGrace: boolean): Promise<readonly Finding[]> {
    const { clock, settings } = this.#options;
    const world = await this.#look();
    const nowMs = clock.now();
    this.#findings = examine(world, nowMs, settings);
    const keys = new Set(this.#findings.map(keyOf));
    for (const key of this.#sinceMs.keys()) if (!keys.has(key)) this.#sinceMs.delete(key);
    for (const key of keys) if (!this.#sinceMs.has(key)) this.#sinceMs.set(key, nowMs);
    return this.#findings.filter((finding) => {
      if (finding.repair === null) return false;
      const sinceMs = this.#sinceMs.get(keyOf(finding)) ?? nowMs;
      return withoutGrace || nowMs - sinceMs >= this.#graceOf(finding.repair, world);
    });
  }

  #graceOf(repair: Repair, { spaces }: DoctorWorld): number {
    const { graceMs, cacheGraceMs, ...limits } = this.#options.settings;
    if (repair.kind === 'remove-image' && repair.of === 'trashed') return 0;
    const holds =
      repair.kind === 'remove-blob'
        ? ({ hasCache }: Space) => hasCache
        : repair.kind === 'remove-image' && repair.of === 'golden'
          ? ({ name }: Space) => name === repair.pool
          : null;
    if (holds === null) return graceMs;
    return spaces.some((space) => holds(space) && isFull(space, limits)) ? 0 : cacheGraceMs;
  }

  async #repair(finding: Finding): Promise<void> {
    const { log } = this.#options;
    const { kind, subject, repair } = finding;
    if (repair === null) return;
    try {
      await this.#repairer.do(repair);
      log.info({ finding: kind, subject }, `the doctor ${describeRepair(repair)}`);
    } catch (error) {
      log.warn({ err: error, finding: kind, subject }, 'a repair failed; it is tried again at the next look');
    }
  }

  async #look(): Promise<DoctorWorld> {
    return { ...(await look(this.#options)), damaged: this.#damaged };
  }

  async #blobsNow(): Promise<{ present: Iterable<string>; needed: Iterable<string> }> {
    const world = await this.#look();
    return {
      present: world.blobs.map(({ digest }) => digest),
      needed: neededBlobs(world) ?? world.blobs.map(({ digest }) => digest),
    };
  }

  /** Reads every layer that a disk lies on: minutes, where layers are large. */
  async #readLayers(): Promise<void> {
    const { paths } = this.#options;
    const world = await this.#look();
    const layers = new Set(
      world.disks.flatMap(({ path }) => chainOf(world.headers, path).map((link) => link.path)),
    );
    this.#damaged.clear();
    for (const path of layers) {
      const digest = digestOfBlob(paths.blobs, path);
      if (digest === null || world.headers.get(path) === null) continue;
      if ((await digestOf(path)) !== digest) this.#damaged.add(digest);
    }
  }
}
