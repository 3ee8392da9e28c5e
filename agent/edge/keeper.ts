import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, isWithin } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';
import { Passes } from '../kit/passes.ts';
import { repeat } from '../kit/repeat.ts';
import { isSameDocument } from '../kit/same-document.ts';
import {
  type EdgeGoal,
  type EdgeReport,
  MOST_ENDPOINTS,
  type PublishedEndpoint,
  type ServedCertificate,
  type SharedAddress,
  saySameOfEdge,
} from '../protocol/index.ts';
import { blockedEndpoints } from './blocked-ports.ts';
import {
  type CertificatePlaces,
  type CertificateSeen,
  certificatesOf,
  editionOf,
  findCertificate,
} from './certificates.ts';
import { chooseEndpoints } from './choose.ts';
import { type CertificateFetch, DeliveredCertificates } from './delivered-certificates.ts';
import { isUntold, reachedNow, reportEndpoints, reportUntold, servedNow } from './edge-report.ts';
import { EndpointTotals, type WorkerStatistics } from './endpoint-totals.ts';
import { FitAddresses } from './fit-addresses.ts';
import { Haproxy } from './haproxy.ts';
import { proxyOf } from './haproxy-configuration.ts';
import { addressesHere, Keepalived } from './keepalived.ts';
import { type Listener, lookAtListeners } from './listeners.ts';
import { OwnCertificates } from './own-certificates.ts';
import { RefusedEndpoints } from './refused-endpoints.ts';

const LOOK_EVERY_MS = 1_000;
/** Between two looks at certificates and at who listens, while nothing is asked for. */
const SURROUNDINGS_EVERY_MS = 5_000;
/** A round for each endpoint that is found to be bad, all others together in the last one. */
const ROUNDS = 4;
/** How long open connections are waited for where nothing else is said. */
const DEFAULT_DRAIN_MS = 30_000;

export interface EdgeKeeperOptions {
  /** Ours alone: configurations, sockets, logs. */
  readonly folder: string;
  /** `NAME.pem`, put there by an operator; those that the controller keeps are in `folder`. */
  readonly certificates: string;
  /** Of one that the controller keeps. */
  readonly fetchCertificate: CertificateFetch;
  readonly ownAddress: () => string | null;
  /** Programs that this host lacks to be an edge host. */
  readonly missing: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  /** States have changed. */
  readonly onChange: () => void;
}

interface Seen {
  readonly atMs: number;
  readonly goal: EdgeGoal;
  /** Where its endpoints are to listen. */
  readonly places: string;
  readonly certificates: ReadonlyMap<string, CertificateSeen>;
  readonly listeners: readonly Listener[];
  /** The load balancer's own processes around that time. */
  readonly own: ReadonlySet<number>;
  /** Id → why nothing can listen there. */
  readonly blocked: ReadonlyMap<string, string>;
  /** Id → what makes an endpoint another one for the load balancer, apart from its backends. */
  readonly editions: ReadonlyMap<string, string>;
}

interface Served {
  /** Id → why it is not served. */
  readonly failed: ReadonlyMap<string, string>;
  /** What the load balancer's workers count, the current one's first. */
  readonly workers: readonly WorkerStatistics[];
  /** Tokens that are answered. */
  readonly challenges: readonly string[];
}

/** Makes this host serve what its goal says, and tells how that goes. What runs is found out anew at each look: it may have been killed, or be older than this agent. */
export class EdgeKeeper {
  readonly #options: EdgeKeeperOptions;
  readonly #haproxy: Haproxy;
  readonly #keepalived: Keepalived;
  /** Null: it is not known yet what was here before. */
  #fit: FitAddresses | null = null;
  readonly #passes: Passes;
  readonly #places: CertificatePlaces;
  readonly #own: OwnCertificates;
  readonly #delivered: DeliveredCertificates;
  /** Where each certificate was found that can be served. */
  readonly #files = new Map<string, string>();
  /** Undefined: no goal has come yet, and nothing is touched. */
  #goal: EdgeGoal | null | undefined;
  #seen: Seen | null = null;
  /** Certificates that the load balancer has taken on last. */
  #served: readonly ServedCertificate[] = [];
  /** A certificate has come since. */
  #isSeenStale = false;
  readonly #refused = new RefusedEndpoints();
  /** How long the endpoints that there were last are waited for. */
  #drainMs = DEFAULT_DRAIN_MS;
  #report: EdgeReport | null = null;
  readonly #totals = new EndpointTotals();
  /** How many more endpoints there were than are told of. */
  #omitted = 0;
  /** Nothing is to be served, and nothing of ours runs. */
  #isAtRest = false;
  #stop: (() => void) | null = null;
  #isClosed = false;

  constructor(options: EdgeKeeperOptions) {
    this.#options = options;
    const { folder, certificates, clock, ownAddress } = options;
    const onExit = () => this.#passes.wake();
    this.#own = new OwnCertificates(certificates, join(folder, 'last-good'));
    this.#places = {
      own: (name) => this.#own.find(name, clock.now()),
      delivered: join(folder, 'certificates'),
    };
    this.#delivered = new DeliveredCertificates({
      ...{ folder: this.#places.delivered, fetch: options.fetchCertificate, clock, log: options.log },
      onChange: () => {
        this.#isSeenStale = true;
        this.#passes.wake();
      },
    });
    const certificateFile = (name: string) => this.#files.get(name) ?? join(certificates, `${name}.pem`);
    this.#haproxy = new Haproxy({ folder, certificateFile, clock, onExit });
    this.#keepalived = new Keepalived({ folder, clock, ownAddress, onExit });
    this.#passes = new Passes(
      () => this.#pass(),
      () => this.#isClosed,
    );
  }

  start(): void {
    this.#stop = repeat(this.#options.clock, LOOK_EVERY_MS, async () => this.#passes.wake(), 'later');
  }

  /** @param goal absent: this host serves nothing. */
  follow(goal: EdgeGoal | undefined): void {
    if (this.#goal !== undefined && isSameDocument(this.#goal, goal ?? null)) return;
    this.#goal = goal ?? null;
    this.#isAtRest = false;
    this.#delivered.follow(goal?.certificates ?? []);
    this.#passes.wake();
  }

  /** Undefined: it has nothing to serve, or has not looked yet. */
  report(): EdgeReport | undefined {
    return this.#report ?? undefined;
  }

  /** What it has started goes on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stop?.();
    await Promise.all([this.#passes.running, this.#delivered.close()]);
  }

  async #pass(): Promise<void> {
    const goal = this.#goal;
    if (goal === undefined || this.#isAtRest) return;
    try {
      await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
      const served = await this.#serve(goal ?? { addresses: [], endpoints: [] });
      await this.#delivered.tidy();
      const isEmpty = goal === null || goal.endpoints.length + goal.addresses.length === 0;
      this.#tell(isEmpty ? null : goal, served);
      this.#isAtRest =
        isEmpty && goal === this.#goal && !this.#haproxy.isRunning && !this.#keepalived.isRunning;
    } catch (error) {
      this.#options.log.warn({ err: error }, 'this host does not serve what it is to');
    }
  }

  async #serve(goal: EdgeGoal): Promise<Served> {
    const { missing } = this.#options;
    if (missing.length > 0) {
      const why = `not installed on this host: ${missing.join(', ')}`;
      return { failed: new Map(goal.endpoints.map(({ id }) => [id, why])), workers: [], challenges: [] };
    }
    const failed = await this.#balance(goal);
    const workers = this.#haproxy.isRunning ? await this.#haproxy.statistics().catch(() => []) : [];
    await this.#keepalived.keep(this.#fitAddresses(goal, workers));
    // Another host has the addresses first: nobody comes to one where nothing listens.
    if (goal.endpoints.length === 0 && (goal.addresses.length > 0 || !this.#keepalived.isRunning))
      this.#haproxy.leave(this.#drainMs);
    const isAsked = this.#haproxy.isRunning && goal.challenges !== undefined;
    const challenges = isAsked ? await this.#haproxy.challenges().catch(() => []) : [];
    return { failed, workers, challenges };
  }

  #fitAddresses(goal: EdgeGoal, workers: Served['workers']): readonly SharedAddress[] {
    const nowMs = this.#options.clock.now();
    if (this.#fit === null) {
      this.#fit = new FitAddresses();
      if (this.#keepalived.isRunning) this.#fit.adopt(goal, nowMs);
    }
    const lines = linesOf(workers);
    const served = this.#haproxy.isRunning ? servedNow(goal.endpoints, lines) : new Set<string>();
    const sight = served && { reached: reachedNow(goal.endpoints, lines), held: addressesHere() };
    return this.#fit.choose(goal, served, sight, nowMs);
  }

  async #balance(goal: EdgeGoal): Promise<ReadonlyMap<string, string>> {
    if (goal.endpoints.length === 0) {
      this.#served = [];
      await this.#own.keepOnly([]);
      return new Map();
    }
    this.#drainMs = Math.max(...goal.endpoints.map(({ drainMs = DEFAULT_DRAIN_MS }) => drainMs));
    const { certificates, listeners, own, blocked, editions } = await this.#look(goal);
    const isOurs = ({ pids }: Listener) => pids.some((pid) => own.has(pid));
    const edition = editionOf(certificates);
    for (let round = 0; ; round++) {
      const refused = this.#refused.waiting(editions, this.#options.clock.now());
      const offered = goal.endpoints.filter(({ id }) => !refused.has(id));
      const { served, failed } = chooseEndpoints(offered, { certificates, listeners, isOurs, blocked });
      const all = new Map([...failed, ...refused]);
      const not = served.length === 0 ? null : await this.#haproxy.keep(served, edition, goal.challenges);
      if (served.length === 0) this.#haproxy.leave(this.#drainMs);
      if (not === null) {
        this.#served = certificatesOf(served, certificates);
        for (const { id } of served) this.#refused.taken(id);
        await this.#own.keepOnly([...certificates.keys()]);
        return all;
      }
      const atMs = this.#options.clock.now();
      for (const [id, why] of not.endpoints) this.#refused.refuse(id, editions.get(id) ?? '', why, atMs);
      if (not.others !== null || round >= ROUNDS) {
        const why = not.others ?? 'the load balancer does not take it yet';
        return new Map([...served.map(({ id }) => [id, why] as const), ...all]);
      }
    }
  }

  async #look(goal: EdgeGoal): Promise<Seen> {
    const nowMs = this.#options.clock.now();
    const seen = this.#seen;
    const isRecent = seen !== null && isWithin(SURROUNDINGS_EVERY_MS, seen.atMs, nowMs);
    const recent = isRecent && !this.#isSeenStale ? seen : null;
    if (recent?.goal === goal) return recent;
    this.#isSeenStale = false;
    const kept = new Set(goal.certificates?.map(({ name }) => name));
    const names = [...new Set(goal.endpoints.flatMap(({ certificate }) => certificate ?? []))].sort();
    const looks = names.map(async (name) => {
      const late = this.#delivered.problemOf(name);
      return [name, await findCertificate(this.#places, name, kept.has(name), late)] as const;
    });
    const certificates = new Map(await Promise.all(looks));
    for (const [name, found] of certificates) if ('file' in found) this.#files.set(name, found.file);
    const places = placesOf(goal.endpoints);
    // Backends come and go: that says nothing of who listens here, and what is to be served does not wait for it.
    const around = recent?.places === places ? recent : { ...(await this.#lookAround(goal)), atMs: nowMs };
    const { atMs, listeners, own, blocked } = around;
    const editions = new Map(goal.endpoints.map((each) => [each.id, endpointEdition(each, certificates)]));
    this.#seen = { atMs, goal, places, certificates, listeners, own, blocked, editions };
    return this.#seen;
  }

  async #lookAround({ endpoints }: EdgeGoal): Promise<Pick<Seen, 'listeners' | 'own' | 'blocked'>> {
    const found = await lookAtListeners(() => this.#haproxy.processes);
    const listOwn = async () => ownOf(await lookAtListeners(() => this.#haproxy.processes));
    return { ...found, blocked: await blockedEndpoints(endpoints, ownOf(found), listOwn) };
  }

  #tell(goal: EdgeGoal | null, served: Served): void {
    const before = this.#report;
    this.#report = goal && this.#observe(goal, served);
    const isNews = !saySameOfEdge(before ?? undefined, this.#report ?? undefined);
    if (isNews) this.#options.onChange();
  }

  #observe(goal: EdgeGoal, { failed, workers, challenges }: Served): EdgeReport {
    const here = addressesHere();
    this.#totals.follow(workers, new Set(goal.endpoints.map(({ id }) => proxyOf(id))));
    this.#tellOmitted(goal.endpoints.length - MOST_ENDPOINTS);
    const lines = linesOf(workers);
    const before = this.#report?.endpoints ?? [];
    return {
      endpoints:
        this.#haproxy.isRunning && isUntold(lines)
          ? reportUntold(goal.endpoints, failed, before, this.#totals)
          : reportEndpoints(goal.endpoints, lines, failed, this.#totals),
      held: goal.addresses
        .flatMap(({ address, address6 }) => (address6 ? [address, address6.address] : [address]))
        .filter((address) => here.has(address)),
      ...(challenges.length > 0 ? { challenges: [...challenges] } : {}),
      certificates: this.#haproxy.isRunning ? [...this.#served] : [],
      missing: [...this.#options.missing],
    };
  }

  #tellOmitted(count: number): void {
    if (count === this.#omitted) return;
    this.#omitted = count;
    if (count > 0)
      this.#options.log.warn(
        { endpoints: count },
        'the controller is not told how these are served: it takes a report of no more than the others',
      );
  }
}

const ownOf = ({ listeners, own }: Pick<Seen, 'listeners' | 'own'>): readonly Listener[] =>
  listeners.filter(({ pids }) => pids.some((pid) => own.has(pid)));

const placesOf = (endpoints: readonly PublishedEndpoint[]): string =>
  JSON.stringify(endpoints.map(({ id, addresses, port }) => [id, addresses, port]));

const endpointEdition = (
  { backends: _, ...endpoint }: PublishedEndpoint,
  certificates: ReadonlyMap<string, CertificateSeen>,
): string => JSON.stringify([endpoint, certificates.get(endpoint.certificate ?? '')]);

const linesOf = (workers: Served['workers']) => workers.map(({ lines }) => lines);

export const edgeFolders = (stateFolder: string) => ({
  folder: join(stateFolder, 'edge'),
  certificates: join(stateFolder, 'certificates'),
});
