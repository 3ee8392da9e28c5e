import type { VmRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { endpointsOfVm } from '../edge-endpoints.ts';
import { edgesOf, onAllEdges } from '../edge-sights.ts';
import { mergeSteps } from '../steps.ts';

/** An instance is published when every host that serves the world does so with it. Where none does, that step stays skipped. */
export function followPublishing(draft: Draft): void {
  if (edgesOf(draft).length === 0) return;
  for (const record of draft.of('vms', unpublishedVms)) {
    if (endpointsOfVm(draft.get('applications', record.app), record).length === 0) continue;
    if (!onAllEdges(draft, record, record.incarnation, (seen) => seen?.state === 'up')) continue;
    const startedAtMs = record.readyAtMs ?? draft.nowMs;
    const ms = Math.max(0, draft.nowMs - startedAtMs);
    const hosts = edgesOf(draft).map(({ name }) => name);
    const detail = `on ${hosts.length > 5 ? `${hosts.length} hosts` : hosts.join(', ')}`;
    const steps = mergeSteps(record.steps, [{ name: 'publish', status: 'done', startedAtMs, ms, detail }]);
    draft.put('vms', record.id, { ...record, steps });
  }
}

const unpublishedVms = (vms: readonly VmRecord[]): readonly VmRecord[] =>
  vms.filter(
    ({ role, state, steps }) =>
      role !== null &&
      state === 'ready' &&
      !steps.some(({ name, status }) => name === 'publish' && status === 'done'),
  );
