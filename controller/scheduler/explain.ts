import { hostsByReason } from '../model/hosts-by-reason.ts';
import type { PlacementExplanation } from '../model/records.ts';
import type { Load, PlacementRequest } from './contract.ts';
import { FILTERS } from './filters/index.ts';
import type { Placer } from './placer.ts';
import { SCORERS } from './scorers/index.ts';

/** A record keeps the reasons of so many hosts; the chosen one is always among them. */
const KEPT_HOSTS = 20;

/**
 * Per host, why it was chosen, passed over or refused. Ask before placing: the reasons are those of the load as it is then.
 * @param chosen null when every host refused.
 */
export function explain(
  placer: Placer,
  request: PlacementRequest,
  chosen: string | null,
  nowMs: number,
): PlacementExplanation {
  return {
    atMs: nowMs,
    chosen,
    hosts: shown(placer, chosen).map((load) => explainHost(placer, request, load)),
  };
}

/** The chosen host, then others as they come. */
function shown(placer: Placer, chosen: string | null): readonly Load[] {
  const others: Load[] = [];
  let first: Load | null = null;
  for (const load of placer.loads()) {
    if (load.host.name === chosen) first = load;
    else if (others.length < KEPT_HOSTS) others.push(load);
  }
  return [...(first ? [first] : []), ...others].slice(0, KEPT_HOSTS);
}

function explainHost(placer: Placer, request: PlacementRequest, load: Load) {
  const refusals = FILTERS.filter((filter) => !filter.accepts(request, load));
  const group = placer.counts(request.group);
  return {
    host: load.host.name,
    accepted: refusals.length === 0,
    score: refusals.length === 0 ? (SCORERS.at(-1)?.score(request, load, group) ?? null) : null,
    reasons:
      refusals.length === 0
        ? SCORERS.map((scorer) => scorer.reason(request, load, group)).filter((reason) => reason !== '')
        : refusals.map((filter) => filter.reason(request, load)),
  };
}

/** One sentence for a refusal: why each host refuses, those with one reason together. */
export function summarize(explanation: PlacementExplanation): string {
  if (explanation.hosts.length === 0) return 'no host has joined yet';
  const told = explanation.hosts.map(({ host, reasons }) => ({ host, reason: reasons.join(', ') }));
  return [...hostsByReason(told)].map(([why, hosts]) => `${hosts.join(', ')}: ${why}`).join('; ');
}
