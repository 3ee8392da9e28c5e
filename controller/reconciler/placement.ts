import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { Failure, ImageGoal } from '../../agent/protocol/index.ts';
import type { PlacementExplanation, Successor, VmRecord } from '../model/records.ts';
import { nextIncarnation } from '../model/successor.ts';
import { candidateOf, claimsOf } from '../scheduler/candidates.ts';
import type { Claim, PlacementRequest } from '../scheduler/contract.ts';
import { explain, summarize } from '../scheduler/explain.ts';
import { isPassing } from '../scheduler/filters/host-state.ts';
import { Placer } from '../scheduler/placer.ts';
import { FAILURES_HELD_AGAINST_A_HOST } from '../scheduler/scorers/earlier-failures.ts';
import { derived } from './derived.ts';
import type { Draft } from './draft.ts';
import { withoutFencedPools } from './fenced-pools.ts';
import { change } from './instance-states.ts';
import { areApart, areTogether, sharedPoolOf } from './shared-pools.ts';
import { placementSteps } from './steps.ts';
import { addressOfSuccessor, dropSuccessor } from './successors.ts';

interface Target {
  readonly only: string | null;
  readonly avoid: string | null;
}

interface Image {
  readonly goal: ImageGoal;
  readonly ms: number;
}

const claimKey = (vmId: string, incarnation: number) => `${vmId}@${incarnation}`;

/** Keeps a pass, and its transaction, short while thousands are placed: reports and users are heard in between. */
const PLACEMENTS_IN_A_PASS = 500;

/** What a VM is spread with. Machines of an application are spread with each other. */
export const groupOf = (record: Pick<VmRecord, 'networkId'>) => record.networkId;

/**
 * Placements of one pass: the scheduler's load and the claims' records, always changed together, so that whatever a pass
 * writes, placement and claim are in one transaction.
 */
export class Placement {
  readonly draft: Draft;
  readonly #refusals = new Map<string, PlacementExplanation>();
  /** Ids of the VMs that were refused in this pass. */
  readonly #told = new Set<string>();
  #placer: Placer | null = null;
  #placed = 0;

  constructor(draft: Draft) {
    this.draft = draft;
  }

  /** So much is placed that the rest is better left to the next pass. */
  get isFull(): boolean {
    return this.#placed >= PLACEMENTS_IN_A_PASS;
  }

  /** Gives up what this VM's incarnation claims on its host. @returns what takes it back. */
  release(record: Pick<VmRecord, 'id' | 'networkId' | 'host' | 'incarnation'>): () => void {
    if (record.host === null) return () => undefined;
    const claims = this.draft.get('claims', record.host);
    const key = claimKey(record.id, record.incarnation);
    const claim = claims?.vms[key];
    if (!claims || !claim) return () => undefined;
    const { [key]: _released, ...vms } = claims.vms;
    const { host } = record;
    this.draft.put('claims', host, { vms });
    this.#placer?.remove(host, groupOf(record), claim);
    this.#refusals.clear();
    return () => {
      this.draft.put('claims', host, claims);
      this.#placer?.add(host, groupOf(record), claim);
    };
  }

  /** Gives up what the VM's successor claims on its host. */
  releaseSuccessor({ id, networkId, successor }: VmRecord): void {
    if (successor) this.release({ id, networkId, host: successor.host, incarnation: successor.incarnation });
  }

  /**
   * Gives the VM a new incarnation on the best host that takes it. The old incarnation's claim must have been released; a
   * successor it has comes to nothing.
   * @returns the record, `placing`; null when every host refuses: then nothing has changed but the explanation.
   */
  place(record: VmRecord, target: Target, why: string): VmRecord | null {
    const draft = this.draft;
    const choice = this.#choose(record, target);
    if (!choice) return null;
    const { host, image, explanation } = choice;
    const incarnation = nextIncarnation(record);
    this.#claim(record, host, incarnation);
    const reserved = reservation(record.failedOn[host] ?? 0);
    const before = dropSuccessor(draft, this, record, 'it is made anew');
    const placed = change(draft, before, 'placing', `${why}, on ${host}${reserved}`, {
      host,
      incarnation,
      power: 'running',
      stay: null,
      image: image.goal,
      // A pool of one host alone is found by its host.
      poolId:
        record.kind === 'machine' ? (sharedPoolOf(draft.get('hosts', host), record.pool)?.id ?? null) : null,
      steps: this.#steps(image, record.stateSinceMs, host),
      // Why it failed stays to be read until it has done better.
      tasks: record.failures > 0 ? record.tasks : [],
      phase: null,
      overlay: null,
      readyAtMs: null,
      retryAtMs: null,
      reimageRequested: false,
      moveTo: null,
      placement: explanation,
      ...(record.drain ? { drain: null } : {}),
      // It begins anew in any case.
      ...(record.rebootFrom == null ? {} : { rebootFrom: null }),
      failure: record.failures > 0 ? record.failure : null,
    });
    // From `placing` to `placing` is a new incarnation too.
    if (record.state === 'placing')
      draft.put('vms', record.id, { ...placed, attempt: record.attempt + 1, stateSinceMs: draft.nowMs });
    draft.tell('vm-placed', record.id, `incarnation ${incarnation} on ${host}: ${why}${reserved}`, {
      host,
      incarnation,
    });
    return placed;
  }

  /**
   * Keeps a place on another host for what is to follow on this VM; the VM itself, and what it claims, stays as it is.
   * @param made what the successor is made from. @returns the record; null when every host refuses: then nothing has changed but the explanation.
   */
  placeSuccessor(
    record: VmRecord,
    made: Pick<Successor, 'kind' | 'definition' | 'size' | 'pool'>,
    target: Target & { readonly failedOn: VmRecord['failedOn'] },
    why: string,
  ): VmRecord | null {
    const draft = this.draft;
    // It leaves its own host, and is not weighed with itself there; room of that host is of no account, so no refusal changes.
    const own: Claim = { ...record.size, pool: record.pool };
    if (record.host !== null) this.#load().remove(record.host, groupOf(record), own);
    const choice = this.#choose({ ...record, ...made, failedOn: target.failedOn }, target);
    if (record.host !== null) this.#load().add(record.host, groupOf(record), own);
    const incarnation = nextIncarnation(record);
    const address = choice ? addressOfSuccessor(draft, record, incarnation) : null;
    if (choice && address) this.#claim({ ...record, ...made }, choice.host, incarnation);
    if (!choice || !address) return null;
    const { host, image, explanation } = choice;
    const next: VmRecord = {
      ...(draft.get('vms', record.id) ?? record),
      highestIncarnation: incarnation,
      successor: {
        ...{ host, incarnation, ...made, image: image.goal, ...address },
        ...{ state: 'placing', phase: null, failure: null, tasks: [], restarts: null, overlay: null },
        steps: this.#steps(image, draft.nowMs, host),
        placement: explanation,
        sinceMs: draft.nowMs,
      },
    };
    draft.put('vms', record.id, next);
    draft.tell('vm-successor', record.id, `incarnation ${incarnation} is to follow on ${host}: ${why}`, {
      from: record.host,
      to: host,
      incarnation,
    });
    return next;
  }

  /** Whether a host has room for it. Nothing is written. */
  wouldTake(record: VmRecord, target: Target): boolean {
    const { goal } = imageOf(this.draft, record);
    return goal !== null && this.#bestFor(this.#request(record, target, goal)) !== null;
  }

  /** Hosts that would take a machine, and of which it is not known yet whether they have its disk; none, when another one takes it. */
  unfoundFor(record: VmRecord, target: Target): readonly string[] {
    const { goal } = imageOf(this.draft, record);
    if (!goal) return [];
    const request = this.#request(record, target, goal);
    const apart = Object.entries(request.apart ?? {});
    const unknown = apart.filter(([, why]) => why === 'unknown').map(([name]) => name);
    if (unknown.length === 0 || this.#bestFor(request) !== null) return [];
    const without = (name: string) => Object.fromEntries(apart.filter(([other]) => other !== name));
    return unknown.filter((name) => this.#bestFor({ ...request, apart: without(name) }) !== null);
  }

  /** The best host; null when every host refuses, and then it is written why. */
  #choose(
    record: VmRecord,
    { only, avoid }: Target,
  ): { host: string; image: Image; explanation: PlacementExplanation } | null {
    const found = imageOf(this.draft, record);
    const { goal } = found;
    if (!goal) return null;
    const request = this.#request(record, { only, avoid }, goal);
    // What was refused stays refused until something is given up: nothing of its shape is weighed twice in a pass.
    const shape = JSON.stringify([
      request.size,
      request.pool,
      request.poolId,
      request.apart,
      request.isMachine,
      request.isNewMachine,
      request.architecture,
      { only, avoid },
    ]);
    const refusal = this.#refusals.get(shape);
    if (refusal) {
      this.#refused(record, refusal);
      return null;
    }
    // The reasons are those before this VM's own claim, which is added with its record.
    const host = this.#bestFor(request);
    const explanation = explain(this.#load(), request, host, this.draft.nowMs);
    if (host !== null) return { host, image: { goal, ms: found.ms }, explanation };
    this.#refusals.set(shape, explanation);
    this.#refused(record, explanation);
    return null;
  }

  #request(record: VmRecord, { only, avoid }: Target, image: ImageGoal): PlacementRequest {
    return {
      id: record.id,
      group: groupOf(record),
      size: record.size,
      pool: record.pool,
      poolId: record.poolId,
      apart: this.#apartFrom(record),
      isMachine: record.kind === 'machine',
      isNewMachine: record.kind === 'machine' && record.host === null,
      architecture: image.architecture,
      failedOn: record.failedOn,
      only,
      avoid,
    };
  }

  /** Null: every host refuses. Nothing is claimed. */
  #bestFor(request: PlacementRequest): string | null {
    const placer = this.#load();
    const host = placer.place(request);
    if (host !== null) placer.remove(host, request.group, { ...request.size, pool: request.pool });
    return host;
  }

  /** Hosts whose pool is not, or not yet known to be, the one that has the disk of this machine, whatever they call it. */
  #apartFrom({ kind, host, pool }: VmRecord): NonNullable<PlacementRequest['apart']> {
    const home = kind === 'machine' && host !== null ? this.draft.get('hosts', host) : undefined;
    if (!home || !sharedPoolOf(home, pool)) return {};
    const apart: Record<string, 'apart' | 'unknown'> = {};
    for (const other of this.draft.all('hosts')) {
      if (other.name === home.name) continue;
      if (areApart(pool, home, other)) apart[other.name] = 'apart';
      else if (!areTogether(pool, home, other)) apart[other.name] = 'unknown';
    }
    return apart;
  }

  #claim(record: VmRecord, host: string, incarnation: number): void {
    const { cpus, memoryMiB, diskMiB } = record.size;
    const claim: Claim = { cpus, memoryMiB, diskMiB, pool: record.pool };
    this.#load().add(host, groupOf(record), claim);
    this.#placed++;
    const claims = this.draft.get('claims', host)?.vms ?? {};
    this.draft.put('claims', host, { vms: { ...claims, [claimKey(record.id, incarnation)]: claim } });
  }

  #steps(image: Image, sinceMs: number, host: string): VmRecord['steps'] {
    const { nowMs } = this.draft;
    return placementSteps({
      imageMs: image.ms,
      imageDetail: `${image.goal.name}:${image.goal.version}`,
      waitedMs: Math.max(0, nowMs - sinceMs),
      host,
      nowMs,
    });
  }

  /** Written once for each reason: a refusal that stays the same wakes nobody. What a VM that keeps its place lacks is no failure of it. */
  #refused(record: VmRecord, explanation: PlacementExplanation): void {
    // Asked for twice in a pass, for two reasons, it may be refused twice; two explanations in turns would never come to rest.
    if (this.#told.has(record.id)) return;
    this.#told.add(record.id);
    const current = this.draft.get('vms', record.id) ?? record;
    if (isSameRefusal(current.placement, explanation)) return;
    const message = `no host can take ${record.id}: ${summarize(explanation)}`;
    const failure: Failure = {
      code: 'no-capacity',
      message: message.slice(0, 4096),
      remedy: 'Add a host, free one, or ask for less.',
      step: 'place',
    };
    this.draft.put('vms', record.id, {
      ...current,
      placement: explanation,
      ...(current.host === null ? { failure } : {}),
    });
    if (!isSameObstacle(current.placement, explanation)) this.draft.tell('vm-refused', record.id, message);
  }

  #load(): Placer {
    if (this.#placer) return this.#placer;
    const draft = this.draft;
    const hosts = draft
      .all('hosts')
      .flatMap((host) => derived(withoutFencedPools(draft, host), candidateOf) ?? []);
    const groups = (vmId: string) => draft.get('vms', vmId)?.networkId ?? vmId;
    const claims = hosts.flatMap((host) =>
      claimsOf(host.name, draft.get('claims', host.name) ?? { vms: {} }, groups),
    );
    this.#placer = new Placer(hosts, claims);
    return this.#placer;
  }
}

const reservation = (failures: number) =>
  failures < FAILURES_HELD_AGAINST_A_HOST
    ? ''
    : `, though it failed ${failures} times there: no other host is better`;

const isSameRefusal = (known: PlacementExplanation | null, now: PlacementExplanation): boolean =>
  known !== null && known.chosen === null && isSameDocument(known.hosts, now.hosts);

/** Hosts that come and go change what is said of them each time; that is told of the hosts, and not once more of each VM that waits. */
const isSameObstacle = (known: PlacementExplanation | null, now: PlacementExplanation): boolean =>
  known !== null && known.chosen === null && isSameDocument(lasting(known), lasting(now));

const lasting = ({ hosts }: PlacementExplanation) =>
  hosts.map(({ host, reasons }) => ({ host, reasons: reasons.filter((reason) => !isPassing(reason)) }));

/** What an incarnation is made from: what its reference means now. A machine keeps the image that its disk lies on. */
export function imageOf(
  draft: Draft,
  record: VmRecord,
): { goal: ImageGoal | null; failure: Failure | null; ms: number } {
  if (record.kind === 'machine' && record.image) return { goal: record.image, failure: null, ms: 0 };
  const service = draft.get('applications', record.app)?.service;
  const made = record.role === null ? service?.machines[nameOf(record.id)] : service?.roles[record.role];
  const resolved = draft.world.images.get(made?.image ?? '');
  return {
    goal: resolved?.image?.goal ?? null,
    failure: resolved?.failure ?? null,
    ms: resolved?.ms ?? 0,
  };
}

export const nameOf = (vmId: string) => vmId.slice(vmId.indexOf('/') + 1);
