import type { Step } from '../../../agent/protocol/index.ts';
import { hostsByReason } from '../../model/hosts-by-reason.ts';
import type { VmRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { endpointsOfVm } from '../edge-endpoints.ts';
import { edgesOf, onAllEdges, type Unserved, unservedOf } from '../edge-sights.ts';
import { mergeSteps } from '../steps.ts';

const MOST_DETAIL = 500;

type Judgement = Pick<Step, 'status' | 'detail'>;

/**
 * An instance is published when every host that serves the world does so with it. Where none does, that step stays skipped; where one cannot
 * serve an endpoint of it, it has failed until that host can. Nothing waits for it.
 */
export function followPublishing(draft: Draft): void {
  if (edgesOf(draft).length === 0) return;
  for (const record of draft.of('vms', unpublishedVms)) {
    if (endpointsOfVm(draft.get('applications', record.app), record).length === 0) continue;
    const known = record.steps.find(({ name }) => name === 'publish');
    const { status, detail } = judge(draft, record);
    if ((known?.status ?? 'skipped') === status && known?.detail === detail) continue;
    const startedAtMs = record.readyAtMs ?? draft.nowMs;
    const ms = Math.max(0, draft.nowMs - startedAtMs);
    const step: Step = { name: 'publish', status, startedAtMs, ms };
    const steps = mergeSteps(record.steps, [detail === undefined ? step : { ...step, detail }]);
    draft.put('vms', record.id, { ...record, steps });
  }
}

function judge(draft: Draft, record: VmRecord): Judgement {
  const unserved = unservedOf(draft, record);
  if (unserved.length > 0) return { status: 'failed', detail: describe(unserved) };
  if (!onAllEdges(draft, record, record.incarnation, (seen) => seen?.state === 'up'))
    return { status: 'skipped' };
  return { status: 'done', detail: `on ${listed(edgesOf(draft).map(({ name }) => name))}` };
}

function describe(unserved: readonly Unserved[]): string {
  const told = unserved.map(({ id, host, reason }) => ({ host, reason: `${id}: ${reason}` }));
  const texts = [...hostsByReason(told)].map(([why, names]) => `not on ${listed(names)}: ${why}`);
  return texts.join('; ').slice(0, MOST_DETAIL);
}

const listed = (hosts: readonly string[]): string =>
  hosts.length > 5 ? `${hosts.length} hosts` : hosts.join(', ');

const unpublishedVms = (vms: readonly VmRecord[]): readonly VmRecord[] =>
  vms.filter(
    ({ role, state, steps }) =>
      role !== null &&
      state === 'ready' &&
      !steps.some(({ name, status }) => name === 'publish' && status === 'done'),
  );
