import type { BlobCache, PoolView } from '../disks/contract.ts';
import type { PeersSeen } from '../disks/pool-peers.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import type { BackupReport, HostMetrics, MigrationReport, Report } from '../protocol/index.ts';
import { collectMetrics } from './metrics.ts';

/** Metrics change slowly and cost a few milliseconds. */
const METRICS_EVERY_MS = 10_000;
/** Changes that come together are told together. */
const GATHER_MS = 15;

export interface ObserverOptions {
  readonly bootId: string;
  readonly cache: BlobCache;
  /** As they were last seen. */
  readonly pools: () => readonly PoolView[];
  readonly clock: Clock;
  readonly vms: () => Pick<Report, 'revisionSeen' | 'epochSeen' | 'vms' | 'strangers' | 'leaving'>;
  readonly doctor: () => Report['doctor'];
  readonly backups?: () => readonly BackupReport[];
  readonly peers?: () => PeersSeen | null;
  readonly migrations?: () => readonly MigrationReport[];
  /** Undefined: it serves nothing to the world. */
  readonly edge?: () => Report['edge'];
  /** How full the table of connections is; null: not known. */
  readonly connections?: () => HostMetrics['connections'] | null;
  /** What is wrong with guests' network, for people. */
  readonly networkProblems?: () => readonly string[];
  readonly send: (report: Omit<Report, 'sequence'>) => void;
}

/** Puts the report together, and sends it when something has changed and at every heartbeat. */
export class Observer {
  readonly #options: ObserverOptions;
  #metrics: Report['metrics'];
  #metricsAtMs = Number.NEGATIVE_INFINITY;
  #gathering: Timer | null = null;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  /** Something has changed: a report follows at once, with what else changes in the same moment. */
  changed(): void {
    this.#gathering ??= this.#options.clock.after(GATHER_MS, () => {
      this.#gathering = null;
      void this.tell();
    });
  }

  async tell(): Promise<void> {
    const { bootId, cache, clock, vms, doctor, backups, peers, migrations, send } = this.#options;
    this.#refreshMetrics();
    const blobs = await cache.list();
    const seen = doctor();
    const copies = backups?.() ?? [];
    const others = peers?.() ?? null;
    const moving = migrations?.() ?? [];
    const served = this.#options.edge?.();
    const connections = this.#options.connections?.();
    const problems = this.#options.networkProblems?.() ?? [];
    send({
      type: 'report',
      atMs: clock.now(),
      bootId,
      blobs: [...blobs],
      ...vms(),
      ...(this.#metrics === undefined
        ? {}
        : { metrics: { ...this.#metrics, ...(connections ? { connections } : {}) } }),
      ...(seen === undefined ? {} : { doctor: seen }),
      ...(copies.length === 0 ? {} : { backups: [...copies] }),
      ...(others === null ? {} : { peers: [...others.pools], peersAgeMs: others.ageMs }),
      ...(moving.length === 0 ? {} : { migrations: [...moving] }),
      ...(served === undefined ? {} : { edge: served }),
      ...(problems.length === 0 ? {} : { networkProblems: [...problems] }),
    });
  }

  /** In the background: no report waits for figures. */
  #refreshMetrics(): void {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#metricsAtMs < METRICS_EVERY_MS) return;
    this.#metricsAtMs = nowMs;
    void collectMetrics(this.#options.pools())
      .then((metrics) => {
        this.#metrics = metrics;
      })
      .catch(() => undefined);
  }
}
