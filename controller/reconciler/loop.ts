import type { Clock, Timer } from '../../agent/kit/clock.ts';
import type { Logger } from '../../agent/kit/log.ts';
import { Passes } from '../../agent/kit/passes.ts';
import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { Report } from '../../agent/protocol/index.ts';
import type { Catalogue } from '../catalogue/contract.ts';
import type { Fencer } from '../fencing/contract.ts';
import type { Fleet, FleetEvent, LeaseAges } from '../fleet/contract.ts';
import type { SecretsStore } from '../fleet/secrets-contract.ts';
import type { FleetRecord } from '../model/records.ts';
import type { Change, Store } from '../store/contract.ts';
import type { EventLog } from './event-log.ts';
import { GoalDispatch } from './goal-dispatch.ts';
import { ImageResolver } from './image-resolver.ts';
import { Listening } from './listening.ts';
import { LiveHosts } from './live-hosts.ts';
import { DEFAULT_SETTINGS, earliest, type Plan, type PlanSettings, plan } from './plan.ts';
import { isAwaited, isNews } from './report-news.ts';
import { isKnown, nextSilenceMs } from './rules/hosts.ts';
import { knowsMore } from './store-age.ts';
import type { World } from './world.ts';
import { WorldCache } from './world-cache.ts';

export interface ReconcilerOptions {
  readonly fleetRecord: FleetRecord;
  readonly store: Store;
  readonly fleet: Fleet;
  readonly catalogue: Catalogue;
  readonly secrets: SecretsStore;
  readonly fencer: Pick<Fencer, 'want'>;
  /** Absent: no host has a lease. */
  readonly leases?: LeaseAges;
  readonly events: EventLog;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings?: Partial<PlanSettings>;
  /** Called before a revision is told to a host. */
  readonly cover?: (revision: number) => void;
  /** Makes the fleet's epoch, durably, a higher one than this. Absent: it stays as it is. */
  readonly raiseEpoch?: (above: number) => Promise<number>;
  /** Another planner in place of the real one. */
  readonly plan?: typeof plan;
}

/** After a pass that failed, even if nothing happens. */
const RETRY_MS = 500;
/** Passes are made when something gives them something to do. Should that ever be missed, it is found this much later. */
const PASS_AT_LEAST_EVERY_MS = 10_000;

/**
 * Makes passes: world → plan → one transaction → goals. A pass follows whatever happened (a write by a user, a report, a
 * connection, the end of a wait), one at a time; what happens during a pass causes one more. A transaction that meets a
 * newer write changes nothing, and the next pass plans anew.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #cache = new WorldCache();
  readonly #images: ImageResolver;
  readonly #settings: PlanSettings;
  readonly #listening: Listening;
  readonly #goals: GoalDispatch;
  readonly #liveHosts = new LiveHosts();
  /** Each host's last report that a pass has looked at, or will. */
  readonly #heard = new Map<string, Report>();
  readonly #stops: (() => void)[] = [];
  readonly #passes = new Passes(
    () => this.#run(),
    () => this.#stopped,
  );
  #fleetRecord: FleetRecord;
  #isRaising = false;
  #timer: Timer | null = null;
  #waitMs: number | null = null;
  #stopped = true;
  /** Revision of the last transaction that leaves nothing to plan. */
  #settledRevision = 0;
  /** Waits for the watch to have told a revision. */
  #lookout: { readonly revision: number; readonly resolve: () => void } | null = null;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#fleetRecord = options.fleetRecord;
    this.#settings = { ...DEFAULT_SETTINGS, ...options.settings };
    this.#images = new ImageResolver(options.catalogue, options.clock);
    this.#listening = new Listening(options.clock, options.log);
    this.#goals = new GoalDispatch(options.fleet, options.fleetRecord, this.#cache, options.cover);
  }

  async start(): Promise<void> {
    const { store, fleet } = this.#options;
    this.#stopped = false;
    this.#listening.start();
    const { entries, revision } = await store.list('');
    this.#cache.load(entries, revision);
    this.#goals.concern(this.#cache.records('hosts').keys());
    this.#stops.push(store.watch('', revision, (changes) => this.#onChanges(changes)));
    this.#stops.push(fleet.onEvent((event) => this.#onFleetEvent(event)));
    this.wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#listening.stop();
    for (const stop of this.#stops.splice(0)) stop();
    this.#lookout?.resolve();
    await this.#passes.running;
  }

  /** As it is now: what the controller knows of fence devices may change while it runs. */
  get fleetRecord(): FleetRecord {
    return this.#fleetRecord;
  }

  /** These addresses are out of guests' reach from now on, and no others that were. @param devices sorted. */
  closeDevices(devices: readonly string[]): void {
    if (isSameDocument(this.#fleetRecord.devices ?? [], devices)) return;
    this.#fleetRecord = { ...this.#fleetRecord, devices };
    this.#goals.adopt(this.#fleetRecord);
    this.wake();
  }

  /** Something may have to be done. Cheap to call often. */
  wake(): void {
    this.#passes.wake();
  }

  #onChanges(changes: readonly Change[]): void {
    if (changes.some((change) => change.key.startsWith('images/'))) this.#images.forget();
    this.#goals.follow(this.#cache.apply(changes));
    if (this.#lookout && this.#cache.revision >= this.#lookout.revision) this.#lookout.resolve();
    // A batch is one transaction.
    if (changes[0]?.revision !== this.#settledRevision) this.wake();
  }

  /** A pass on records that are behind the store would lose its transaction, and the next one too: nothing in between lets the watch speak. */
  async #caughtUp(revision: number): Promise<void> {
    if (this.#stopped || this.#cache.revision >= revision) return;
    await new Promise<void>((resolve) => {
      this.#lookout = { revision, resolve };
    });
    this.#lookout = null;
  }

  #onFleetEvent(event: FleetEvent): void {
    const { host } = event;
    const before = this.#heard.get(host);
    if (event.type === 'report') this.#heard.set(host, event.report);
    else this.#heard.delete(host);
    if (event.type === 'connected') {
      this.#goals.renew(host);
      if (knowsMore(event.hello, this.#fleetRecord, this.#cache.revision))
        void this.#raiseEpoch(host, event.hello.epoch ?? 0);
    }
    // While a pass is on its way, records may be behind what it writes.
    if (this.#passes.running || this.#isNews(event, before)) this.wake();
    else this.#sendGoals(this.#options.clock.now());
  }

  /** A store that was restored from an older copy is behind its hosts: they obey it again when its goals are of a newer epoch. */
  async #raiseEpoch(host: string, above: number): Promise<void> {
    const { raiseEpoch, log } = this.#options;
    if (!raiseEpoch || this.#isRaising) return;
    this.#isRaising = true;
    try {
      const epoch = await raiseEpoch(above);
      log.warn(
        { host, epoch },
        'this store is older than what a host was told: hosts are told anew, under a new epoch',
      );
      this.#fleetRecord = { ...this.#fleetRecord, epoch };
      this.#goals.adopt(this.#fleetRecord);
      this.wake();
    } catch (error) {
      log.error(
        { err: error, host },
        'this store is older than what a host was told, and no new epoch could begin',
      );
    } finally {
      this.#isRaising = false;
    }
  }

  /** Most of what is heard gives a plan nothing to do. That a host was heard at all is looked at when it was not. */
  #isNews(event: FleetEvent, before: Report | undefined): boolean {
    if (event.type === 'report') return isNews(event.host, before, event.report, this.#cache);
    const host = this.#cache.records('hosts').get(event.host);
    return event.type !== 'connected' || !host || !isKnown(host, event.hello);
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    try {
      const { nextMs, nextWaitMs } = await this.#onePass();
      const atLatestMs = clock.now() + PASS_AT_LEAST_EVERY_MS;
      this.#waitMs = earliest([nextWaitMs, atLatestMs]);
      this.#setTimer(earliest([nextMs, atLatestMs]));
    } catch (error) {
      log.error({ err: error }, 'a pass of the reconciler failed; trying again');
      this.#timer?.cancel();
      this.#timer = clock.after(RETRY_MS, () => this.wake());
    }
  }

  /** For a pass although nothing happens. Whether hosts are still heard costs no pass. */
  #setTimer(atMs: number | null): void {
    const { clock } = this.#options;
    this.#timer?.cancel();
    this.#timer = null;
    if (atMs === null || this.#stopped) return;
    this.#timer = clock.after(Math.max(5, atMs - clock.now()), () => {
      const nextMs = this.#nextMs();
      if (nextMs !== null && nextMs <= clock.now()) this.wake();
      else this.#setTimer(nextMs);
    });
  }

  /** When to plan again although nothing happens; null: no such time. */
  #nextMs(): number | null {
    const links = new Map(this.#options.fleet.hosts().map((link) => [link.name, link]));
    const hosts = this.#cache.records('hosts').values();
    const silenceMs = nextSilenceMs(hosts, links, this.#listening.sinceMs, this.#settings);
    return earliest([this.#waitMs, silenceMs]);
  }

  async #onePass(): Promise<Plan> {
    const { clock, store, events, fencer } = this.#options;
    let isDurable = true;
    await this.#images.resolve(this.#cache);
    const nowMs = clock.now();
    this.#listening.noticePause(nowMs);
    const planned = (this.#options.plan ?? plan)(this.#world(), nowMs, this.#settings);
    if (planned.puts.length + planned.deletes.length + planned.events.length > 0) {
      const log = events.writes(planned.events, nowMs);
      const touched = [...planned.puts.map(({ key }) => key), ...planned.deletes];
      const result = await store.transact({
        checks: touched.map((key) => ({ key, revision: this.#cache.revisionOf(key) })),
        puts: [...planned.puts, ...log.puts],
        deletes: [...planned.deletes, ...log.deletes],
      });
      // The watch brings what was written, by us or by who was faster; that wakes the next pass.
      isDurable = result.committed;
      if (result.committed && planned.isSettled) this.#settledRevision = result.revision;
      if (!isDurable) this.wake();
      else await this.#removeSecrets(planned.deletes);
      await this.#caughtUp(result.committed ? result.revision : await store.revision());
    }
    // No power is cut on a death that the store may not have.
    if (isDurable) fencer.want(planned.fence, planned.lift);
    this.#sendGoals(nowMs);
    return planned;
  }

  #sendGoals(nowMs: number): void {
    const confirmed = this.#goals.send(nowMs);
    if (confirmed.some((host) => isAwaited(host, this.#heard.get(host) ?? null, this.#cache))) this.wake();
  }

  /** Keys of VMs that are gone; a machine's too, its disk went with its record. */
  async #removeSecrets(deleted: readonly string[]): Promise<void> {
    for (const key of deleted) {
      if (!key.startsWith('vms/')) continue;
      await this.#options.secrets
        .remove(key.slice('vms/'.length), Number.MAX_SAFE_INTEGER)
        .catch((error: unknown) => this.#options.log.warn({ err: error, key }, 'keys could not be removed'));
    }
  }

  #world(): World {
    const cache = this.#cache;
    return {
      fleet: this.#fleetRecord,
      applications: cache.records('applications'),
      vms: cache.records('vms'),
      hosts: cache.records('hosts'),
      claims: cache.records('claims'),
      networks: cache.records('networks'),
      tombstones: cache.records('tombstones'),
      incarnations: cache.records('incarnations'),
      fencing: cache.records('fencing'),
      leaseAges: this.#leaseAges(),
      backups: cache.records('backups'),
      certificates: cache.records('certificates'),
      challenges: cache.records('challenges'),
      live: this.#liveHosts.of(
        this.#options.fleet.hosts(),
        (link) => this.#goals.acknowledged(link),
        this.#goals.takeUnsure(),
      ),
      zones: this.#goals.zones,
      images: this.#images.known,
      listeningSinceMs: this.#listening.sinceMs,
    };
  }

  #leaseAges(): ReadonlyMap<string, number> {
    const { leases } = this.#options;
    if (!leases) return new Map();
    return new Map([...this.#cache.records('hosts').keys()].map((host) => [host, leases.ageMs(host)]));
  }
}
