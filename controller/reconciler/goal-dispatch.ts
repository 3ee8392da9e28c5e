import { withPartsOf } from '../../agent/kit/shared-parts.ts';
import type { Goal } from '../../agent/protocol/index.ts';
import type { Fleet, HostLink } from '../fleet/contract.ts';
import type { FleetRecord, VmRecord } from '../model/records.ts';
import { successorView } from '../model/successor.ts';
import { derived } from './derived.ts';
import { goalOf, type Peers, peersOf } from './goals.ts';
import { hostsConcerned } from './hosts-concerned.ts';
import { listOf } from './listed-map.ts';
import { SentZones } from './sent-zones.ts';
import { type SpareImages, spareImages, sparesThatDiffer, touchSpares } from './spare-hosts.ts';
import type { WorldCache } from './world-cache.ts';

interface SentGoal {
  readonly content: Omit<Goal, 'revision' | 'atMs'>;
  readonly revision: number;
  /** Ids that it names. */
  readonly ids: ReadonlySet<string>;
}

const machinesOnSharedPools = (vms: readonly VmRecord[]): readonly VmRecord[] =>
  vms.filter(({ kind, poolId }) => kind === 'machine' && poolId !== null);

const movingLive = (vms: readonly VmRecord[]): readonly VmRecord[] =>
  vms.filter(({ successor }) => successor?.live);

/** Sends each host its goal when that has become another one. */
export class GoalDispatch {
  readonly #fleet: Pick<Fleet, 'sendGoal'>;
  #fleetRecord: FleetRecord;
  readonly #cache: WorldCache;
  readonly #cover: (revision: number) => void;
  readonly #sent = new Map<string, SentGoal>();
  readonly #concerned = new Set<string>();
  /** Zones among what was sent. */
  readonly zones = new SentZones();
  /** Hosts that may count otherwise now as having looked with their newest goals. */
  readonly #unsure = new Set<string>();
  /** Null: nobody was sent any yet. */
  #spares: SpareImages | null = null;

  /** @param cover called before a revision is told to a host. */
  constructor(
    fleet: Pick<Fleet, 'sendGoal'>,
    fleetRecord: FleetRecord,
    cache: WorldCache,
    cover: (revision: number) => void = () => undefined,
  ) {
    this.#cover = cover;
    this.#fleet = fleet;
    this.#fleetRecord = fleetRecord;
    this.#cache = cache;
  }

  /** What is told of the fleet in every goal. */
  adopt(fleetRecord: FleetRecord): void {
    this.#fleetRecord = fleetRecord;
    this.concern(this.#cache.records('hosts').keys());
  }

  /** These records have changed, and are in the cache. */
  follow(changes: ReturnType<WorldCache['apply']>): void {
    this.concern(hostsConcerned(changes, this.#cache));
    if (!this.#spares || !touchSpares(changes)) return;
    const before = this.#spares;
    this.#spares = this.#spareImages();
    this.concern(sparesThatDiffer(before, this.#spares));
  }

  /** The goals of these hosts may be other ones now. */
  concern(hosts: Iterable<string>): void {
    for (const host of hosts) {
      this.#concerned.add(host);
      this.#unsure.add(host);
    }
  }

  /** A host that has connected gets its goal whatever it was sent before. */
  renew(host: string): void {
    this.#sent.delete(host);
    this.concern([host]);
  }

  /**
   * Ids named by the goal that this host has looked at itself with; null: not known whether it has the newest. A higher revision, or another
   * epoch, is that of a goal of which this store knows nothing: it was restored, and the host has refused what it was sent since.
   */
  acknowledged({ name, report }: Pick<HostLink, 'name' | 'report'>): ReadonlySet<string> | null {
    const sent = this.#sent.get(name);
    const isSeen =
      sent !== undefined &&
      report?.revisionSeen === sent.revision &&
      (report.epochSeen ?? sent.content.epoch) === sent.content.epoch;
    return isSeen && !this.#concerned.has(name) ? sent.ids : null;
  }

  /** Hosts of which what `acknowledged` says may have changed since this was asked last, but for what they report. */
  takeUnsure(): readonly string[] {
    const unsure = [...this.#unsure];
    this.#unsure.clear();
    return unsure;
  }

  /**
   * Only what the store has is sent: the cache holds what is durable.
   * @returns hosts whose goals were found to be those that were sent: from now on their last reports count as made under the newest.
   */
  send(nowMs: number): readonly string[] {
    if (this.#concerned.size === 0) return [];
    const confirmed: string[] = [];
    const goals = this.#goals();
    for (const host of this.#concerned) {
      this.#unsure.add(host);
      if (!this.#cache.records('hosts').has(host)) continue;
      const composed = goals(host);
      if (composed.names) this.zones.note(composed.names);
      const sent = this.#sent.get(host);
      // What is the same as in the one before is that one's: comparing the next one, and whoever follows goals, costs what has changed.
      const content = withPartsOf(sent?.content, composed);
      if (content === sent?.content) {
        confirmed.push(host);
        continue;
      }
      const { revision } = this.#cache;
      this.#sent.set(host, { content, revision, ids: new Set(content.vms.map(({ id }) => id)) });
      this.#cover(revision);
      this.#fleet.sendGoal(host, { ...content, revision, atMs: nowMs });
    }
    this.#concerned.clear();
    return confirmed;
  }

  #spareImages(): SpareImages {
    return spareImages(this.#cache.records('vms'), this.#cache.records('hosts'));
  }

  /** Goals by host, of the records as they are now. */
  #goals(): (host: string) => SentGoal['content'] {
    const cache = this.#cache;
    this.#spares ??= this.#spareImages();
    const vms = listOf(cache.records('vms'));
    const peersOfApplication = (app: string): Peers =>
      peersOf(cache.records('applications').get(app), cache.records('vms'));
    const world = {
      fleet: this.#fleetRecord,
      applications: cache.records('applications'),
      networks: cache.records('networks'),
      tombstones: cache.records('tombstones'),
      hosts: cache.records('hosts'),
      vms: cache.records('vms'),
      sharedMachines: derived(vms, machinesOnSharedPools),
      moving: derived(vms, movingLive),
      backups: cache.records('backups'),
      certificates: cache.records('certificates'),
      challenges: cache.records('challenges'),
      spares: this.#spares,
    };
    return (host) => goalOf(host, this.#vmsOf(host), peersOfApplication, world);
  }

  /** As this host is to see them. */
  #vmsOf(host: string): readonly VmRecord[] {
    return this.#cache.vmsOn(host).flatMap((vm) => {
      const successor = vm.successor?.host === host ? successorView(vm) : null;
      return [...(vm.host === host ? [vm] : []), ...(successor ? [successor] : [])];
    });
  }
}
