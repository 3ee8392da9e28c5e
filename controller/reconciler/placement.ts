import { isDeepStrictEqual } from 'node:util';
import type { Failure, ImageGoal } from '../../agent/protocol/index.ts';
import type { PlacementExplanation, VmRecord } from '../model/records.ts';
import { candidateOf, claimsOf } from '../scheduler/candidates.ts';
import type { Claim, PlacementRequest } from '../scheduler/contract.ts';
import { explain, summarize } from '../scheduler/explain.ts';
import { Placer } from '../scheduler/placer.ts';
import { FAILURES_HELD_AGAINST_A_HOST } from '../scheduler/scorers/earlier-failures.ts';
import type { Draft } from './draft.ts';
import { change } from './instance-states.ts';
import { sharedPoolOf } from './shared-pools.ts';
import { placementSteps } from './steps.ts';

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
  readonly #draft: Draft;
  readonly #refusals = new Map<string, PlacementExplanation>();
  /** Ids of the VMs that were refused in this pass. */
  readonly #told = new Set<string>();
  #placer: Placer | null = null;
  #placed = 0;

  constructor(draft: Draft) {
    this.#draft = draft;
  }

  /** So much is placed that the rest is better left to the next pass. */
  get isFull(): boolean {
    return this.#placed >= PLACEMENTS_IN_A_PASS;
  }

  /** Gives up what this VM's incarnation claims on its host. @returns what takes it back. */
  release(record: VmRecord): () => void {
    if (record.host === null) return () => undefined;
    const claims = this.#draft.get('claims', record.host);
    const key = claimKey(record.id, record.incarnation);
    const claim = claims?.vms[key];
    if (!claims || !claim) return () => undefined;
    const { [key]: _released, ...vms } = claims.vms;
    const { host } = record;
    this.#draft.put('claims', host, { vms });
    this.#placer?.remove(host, groupOf(record), claim);
    this.#refusals.clear();
    return () => {
      this.#draft.put('claims', host, claims);
      this.#placer?.add(host, groupOf(record), claim);
    };
  }

  /**
   * Gives the VM a new incarnation on the best host that takes it. The old incarnation's claim must have been released.
   * @returns the record, `placing`; null when every host refuses: then nothing has changed but the explanation.
   */
  place(
    record: VmRecord,
    target: { only: string | null; avoid: string | null },
    why: string,
  ): VmRecord | null {
    const draft = this.#draft;
    const image = imageOf(draft, record);
    if (!image.goal) return null;
    const request: PlacementRequest = {
      id: record.id,
      group: groupOf(record),
      size: record.size,
      pool: record.pool,
      poolId: record.poolId,
      architecture: image.goal.architecture,
      failedOn: record.failedOn,
      ...target,
    };
    // What was refused stays refused until something is given up: nothing of its shape is weighed twice in a pass.
    const shape = JSON.stringify([request.size, request.pool, request.poolId, request.architecture, target]);
    const refusal = this.#refusals.get(shape);
    if (refusal) {
      this.#refused(record, refusal);
      return null;
    }
    const placer = this.#load();
    const probe = placer.place(request);
    // The reasons are those before this VM's own claim.
    if (probe !== null) placer.remove(probe, request.group, { ...request.size, pool: request.pool });
    const explanation = explain(placer, request, probe, draft.nowMs);
    if (probe === null) {
      this.#refusals.set(shape, explanation);
      this.#refused(record, explanation);
      return null;
    }
    const claim: Claim = { ...request.size, pool: request.pool };
    placer.add(probe, request.group, claim);
    this.#placed++;
    const incarnation = record.incarnation + 1;
    const claims = draft.get('claims', probe)?.vms ?? {};
    const { cpus, memoryMiB, diskMiB } = record.size;
    draft.put('claims', probe, {
      vms: { ...claims, [claimKey(record.id, incarnation)]: { cpus, memoryMiB, diskMiB, pool: record.pool } },
    });
    const reserved = reservation(record.failedOn[probe] ?? 0);
    const placed = change(draft, record, 'placing', `${why}, on ${probe}${reserved}`, {
      host: probe,
      incarnation,
      image: image.goal,
      // A pool of one host alone is found by its host.
      poolId:
        record.kind === 'machine' ? (sharedPoolOf(draft.get('hosts', probe), record.pool)?.id ?? null) : null,
      steps: placementSteps({
        imageMs: image.ms,
        imageDetail: `${image.goal.name}:${image.goal.version}`,
        waitedMs: Math.max(0, draft.nowMs - record.stateSinceMs),
        host: probe,
        nowMs: draft.nowMs,
      }),
      // Why it failed stays to be read until it has done better.
      tasks: record.failures > 0 ? record.tasks : [],
      phase: null,
      overlay: null,
      readyAtMs: null,
      retryAtMs: null,
      reimageRequested: false,
      moveTo: null,
      placement: explanation,
      failure: record.failures > 0 ? record.failure : null,
    });
    // From `placing` to `placing` is a new incarnation too.
    if (record.state === 'placing')
      draft.put('vms', record.id, { ...placed, attempt: record.attempt + 1, stateSinceMs: draft.nowMs });
    draft.tell('vm-placed', record.id, `incarnation ${incarnation} on ${probe}: ${why}${reserved}`, {
      host: probe,
      incarnation,
    });
    return placed;
  }

  /** Written once for each reason: a refusal that stays the same wakes nobody. What a VM that keeps its place lacks is no failure of it. */
  #refused(record: VmRecord, explanation: PlacementExplanation): void {
    // Asked for twice in a pass, for two reasons, it may be refused twice; two explanations in turns would never come to rest.
    if (this.#told.has(record.id)) return;
    this.#told.add(record.id);
    const current = this.#draft.get('vms', record.id) ?? record;
    if (isSameRefusal(current.placement, explanation)) return;
    const message = `no host can take ${record.id}: ${summarize(explanation)}`;
    const failure: Failure = {
      code: 'no-capacity',
      message: message.slice(0, 4096),
      remedy: 'Add a host, free one, or ask for less.',
      step: 'place',
    };
    this.#draft.put('vms', record.id, {
      ...current,
      placement: explanation,
      ...(current.host === null ? { failure } : {}),
    });
    this.#draft.tell('vm-refused', record.id, message);
  }

  #load(): Placer {
    if (this.#placer) return this.#placer;
    const draft = this.#draft;
    const hosts = [...draft.all('hosts')].map(candidateOf).filter((host) => host !== null);
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
  known !== null && known.chosen === null && isDeepStrictEqual(known.hosts, now.hosts);

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
