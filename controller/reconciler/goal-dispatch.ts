import { isDeepStrictEqual } from 'node:util';
import type { Goal } from '../../agent/protocol/index.ts';
import type { Fleet, HostLink } from '../fleet/contract.ts';
import type { FleetRecord, VmRecord } from '../model/records.ts';
import { successorView } from '../model/successor.ts';
import { goalOf, type Peers, peersOf } from './goals.ts';
import type { WorldCache } from './world-cache.ts';

interface SentGoal {
  readonly content: Omit<Goal, 'revision' | 'atMs'>;
  readonly revision: number;
  /** Ids that it names. */
  readonly ids: ReadonlySet<string>;
}

/** Sends each host its goal when that has become another one. */
export class GoalDispatch {
  readonly #fleet: Pick<Fleet, 'sendGoal'>;
  readonly #fleetRecord: FleetRecord;
  readonly #cache: WorldCache;
  readonly #sent = new Map<string, SentGoal>();
  readonly #concerned = new Set<string>();

  constructor(fleet: Pick<Fleet, 'sendGoal'>, fleetRecord: FleetRecord, cache: WorldCache) {
    this.#fleet = fleet;
    this.#fleetRecord = fleetRecord;
    this.#cache = cache;
  }

  /** The goals of these hosts may be other ones now. */
  concern(hosts: Iterable<string>): void {
    for (const host of hosts) this.#concerned.add(host);
  }

  /** A host that has connected gets its goal whatever it was sent before. */
  renew(host: string): void {
    this.#sent.delete(host);
    this.#concerned.add(host);
  }

  /** Ids named by the goal that this host has looked at itself with; null: not known whether it has the newest. */
  acknowledged({ name, report }: HostLink): ReadonlySet<string> | null {
    const sent = this.#sent.get(name);
    const seen = sent !== undefined && report !== null && report.revisionSeen >= sent.revision;
    return seen && !this.#concerned.has(name) ? sent.ids : null;
  }

  /**
   * Only what the store has is sent: the cache holds what is durable.
   * @returns whether a goal was found to be the one that was sent: from now on its host's last report counts as made under the newest.
   */
  send(nowMs: number): boolean {
    if (this.#concerned.size === 0) return false;
    let isConfirmed = false;
    const goals = this.#goals();
    for (const host of this.#concerned) {
      if (!this.#cache.records('hosts').has(host)) continue;
      const content = goals(host);
      const sent = this.#sent.get(host);
      if (sent && isDeepStrictEqual(sent.content, content)) {
        isConfirmed = true;
        continue;
      }
      const { revision } = this.#cache;
      this.#sent.set(host, { content, revision, ids: new Set(content.vms.map(({ id }) => id)) });
      this.#fleet.sendGoal(host, { ...content, revision, atMs: nowMs });
    }
    this.#concerned.clear();
    return isConfirmed;
  }

  /** Goals by host, of the records as they are now. */
  #goals(): (host: string) => SentGoal['content'] {
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
      fleet: this.#fleetRecord,
      applications: this.#cache.records('applications'),
      networks: this.#cache.records('networks'),
      tombstones: this.#cache.records('tombstones'),
      hosts: this.#cache.records('hosts'),
      vms: this.#cache.records('vms'),
      backups: this.#cache.records('backups'),
    };
    return (host) => goalOf(host, byHost.get(host) ?? [], peersOfApplication, world);
  }
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
