import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timer } from '../../agent/kit/clock.ts';
import type { Logger } from '../../agent/kit/log.ts';
import type { Goal, Report } from '../../agent/protocol/index.ts';
import type { Catalogue } from '../catalogue/contract.ts';
import type { Fencer } from '../fencing/contract.ts';
import type { Fleet, FleetEvent, HostLink, LeaseAges } from '../fleet/contract.ts';
import type { SecretsStore } from '../fleet/secrets-contract.ts';
import type { FleetRecord, VmRecord } from '../model/records.ts';
import { successorView } from '../model/successor.ts';
import type { Change, Store } from '../store/contract.ts';
import type { EventLog } from './event-log.ts';
import { goalOf, type Peers, peersOf } from './goals.ts';
import { hostsConcerned } from './hosts-concerned.ts';
import { ImageResolver } from './image-resolver.ts';
import { DEFAULT_SETTINGS, earliest, type Plan, type PlanSettings, plan } from './plan.ts';
import { nextSilenceMs } from './rules/hosts.ts';
import { saysTheSame } from './says-the-same.ts';
import type { LiveHost, World } from './world.ts';
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
  /** Another planner in place of the real one. */
  readonly plan?: typeof plan;
}

/** How often this controller makes sure that it runs, and how late that may be. */
const BEAT_MS = 500;
const HELD_UP_MS = 1_000;
/** After a pass that failed, even if nothing happens. */
const RETRY_MS = 500;

type GoalContent = Omit<Goal, 'revision' | 'atMs'>;
interface SentGoal {
  readonly content: GoalContent;
  readonly revision: number;
  /** Ids that it names. */
  readonly ids: ReadonlySet<string>;
}

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
  readonly #sent = new Map<string, SentGoal>();
  /** What the last pass knew of each host. A link never changes: there is another one. */
  readonly #lives = new Map<string, { readonly link: HostLink; readonly live: LiveHost }>();
  /** Each host's last report that a pass has looked at, or will. */
  readonly #heard = new Map<string, Report>();
  readonly #dirtyHosts = new Set<string>();
  readonly #stops: (() => void)[] = [];
  #listeningSinceMs = 0;
  #pass: Promise<void> | null = null;
  #again = false;
  #timer: Timer | null = null;
  #waitMs: number | null = null;
  #beatTimer: Timer | null = null;
  #beatAtMs = 0;
  #stopped = true;
  /** Waits for the watch to have told a revision. */
  #lookout: { readonly revision: number; readonly resolve: () => void } | null = null;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#settings = { ...DEFAULT_SETTINGS, ...options.settings };
    this.#images = new ImageResolver(options.catalogue, options.clock);
  }

  async start(): Promise<void> {
    const { store, fleet, clock } = this.#options;
    this.#stopped = false;
    this.#listeningSinceMs = clock.now();
    this.#beatAtMs = clock.now();
    this.#beat();
    const { entries, revision } = await store.list('');
    this.#cache.load(entries, revision);
    for (const host of this.#cache.records('hosts').keys()) this.#dirtyHosts.add(host);
    this.#stops.push(store.watch('', revision, (changes) => this.#onChanges(changes)));
    this.#stops.push(fleet.onEvent((event) => this.#onFleetEvent(event)));
    this.wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#beatTimer?.cancel();
    for (const stop of this.#stops.splice(0)) stop();
    this.#lookout?.resolve();
    await this.#pass;
  }

  /** Something may have to be done. Cheap to call often. */
  wake(): void {
    if (this.#stopped) return;
    if (this.#pass) {
      this.#again = true;
      return;
    }
    this.#pass = this.#run().finally(() => {
      this.#pass = null;
      if (!this.#again) return;
      this.#again = false;
      this.wake();
    });
  }

  #onChanges(changes: readonly Change[]): void {
    if (changes.some((change) => change.key.startsWith('images/'))) this.#images.forget();
    for (const host of hostsConcerned(this.#cache.apply(changes), this.#cache)) this.#dirtyHosts.add(host);
    if (this.#lookout && this.#cache.revision >= this.#lookout.revision) this.#lookout.resolve();
    this.wake();
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
    if (event.type === 'connected') {
      this.#sent.delete(event.host);
      this.#dirtyHosts.add(event.host);
    }
    if (event.type !== 'report') this.#heard.delete(event.host);
    else if (this.#isKnown(event)) return;
    else this.#heard.set(event.host, event.report);
    this.wake();
  }

  /** A heartbeat with nothing new, of a host that is up: it was heard, which is looked at when it was not. */
  #isKnown({ host, report }: FleetEvent & { type: 'report' }): boolean {
    const before = this.#heard.get(host);
    return (
      before !== undefined &&
      saysTheSame(before, report) &&
      this.#cache.records('hosts').get(host)?.state === 'up'
    );
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    try {
      const { nextMs, nextWaitMs } = await this.#onePass();
      this.#waitMs = nextWaitMs;
      this.#setTimer(nextMs);
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
    const silenceMs = nextSilenceMs(hosts, links, this.#listeningSinceMs, this.#settings);
    return earliest([this.#waitMs, silenceMs]);
  }

  async #onePass(): Promise<Plan> {
    const { clock, store, events, fencer } = this.#options;
    let isDurable = true;
    await this.#images.resolve(this.#cache);
    const nowMs = clock.now();
    this.#noticePause(nowMs);
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
      if (!isDurable) this.#again = true;
      else await this.#removeSecrets(planned.deletes);
      await this.#caughtUp(result.committed ? result.revision : await store.revision());
    }
    // No power is cut on a death that the store may not have.
    if (isDurable) fencer.want(planned.fence, planned.lift);
    this.#sendGoals(nowMs);
    return planned;
  }

  /** A controller that was held up heard nobody meanwhile, and may not have read yet what came: that is no silence of the hosts. */
  #noticePause(nowMs: number): void {
    const heldUpMs = nowMs - this.#beatAtMs - BEAT_MS;
    if (heldUpMs < HELD_UP_MS) return;
    this.#options.log.warn(
      { heldUpMs },
      'this controller was held up; hosts have their time to be heard again',
    );
    this.#listeningSinceMs = nowMs;
    this.#beatAtMs = nowMs;
  }

  #beat(): void {
    const { clock } = this.#options;
    this.#noticePause(clock.now());
    this.#beatAtMs = clock.now();
    this.#beatTimer = clock.after(BEAT_MS, () => this.#beat());
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
      fleet: this.#options.fleetRecord,
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
      live: this.#live(),
      images: this.#images.known,
      listeningSinceMs: this.#listeningSinceMs,
    };
  }

  #leaseAges(): ReadonlyMap<string, number> {
    const { leases } = this.#options;
    if (!leases) return new Map();
    return new Map([...this.#cache.records('hosts').keys()].map((host) => [host, leases.ageMs(host)]));
  }

  #live(): ReadonlyMap<string, LiveHost> {
    const live = new Map<string, LiveHost>();
    for (const link of this.#options.fleet.hosts()) {
      const acknowledged = this.#acknowledged(link);
      const known = this.#lives.get(link.name);
      const same = known?.link === link && known.live.acknowledged === acknowledged;
      const host = same ? known.live : { ...link, acknowledged };
      if (!same) this.#lives.set(link.name, { link, live: host });
      live.set(link.name, host);
    }
    return live;
  }

  #acknowledged({ name, report }: HostLink): ReadonlySet<string> | null {
    const sent = this.#sent.get(name);
    const seen = sent !== undefined && report !== null && report.revisionSeen >= sent.revision;
    return seen && !this.#dirtyHosts.has(name) ? sent.ids : null;
  }

  /** Only what the store has is sent: the cache holds what is durable. */
  #sendGoals(nowMs: number): void {
    if (this.#dirtyHosts.size === 0) return;
    const { fleet, fleetRecord } = this.#options;
    const byHost = new Map<string, VmRecord[]>();
    const byApplication = new Map<string, VmRecord[]>();
    for (const vm of this.#cache.records('vms').values()) {
      if (vm.host !== null) push(byHost, vm.host, vm);
      const successor = successorView(vm);
      if (successor?.host) push(byHost, successor.host, successor);
      push(byApplication, vm.app, vm);
    }
    const peers = new Map<string, Peers>();
    const peersOfApplication = (app: string): Peers => {
      const known =
        peers.get(app) ?? peersOf(this.#cache.records('applications').get(app), byApplication.get(app) ?? []);
      peers.set(app, known);
      return known;
    };
    const world = {
      fleet: fleetRecord,
      applications: this.#cache.records('applications'),
      networks: this.#cache.records('networks'),
      tombstones: this.#cache.records('tombstones'),
      hosts: this.#cache.records('hosts'),
      vms: this.#cache.records('vms'),
      backups: this.#cache.records('backups'),
    };
    for (const host of this.#dirtyHosts) {
      if (!this.#cache.records('hosts').has(host)) continue;
      const content = goalOf(host, byHost.get(host) ?? [], peersOfApplication, world);
      const sent = this.#sent.get(host);
      if (sent && isDeepStrictEqual(sent.content, content)) {
        // From now on its last report counts as made under the newest goal: that is looked at.
        this.#again = true;
        continue;
      }
      const { revision } = this.#cache;
      this.#sent.set(host, { content, revision, ids: new Set(content.vms.map(({ id }) => id)) });
      fleet.sendGoal(host, { ...content, revision, atMs: nowMs });
    }
    this.#dirtyHosts.clear();
  }
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
