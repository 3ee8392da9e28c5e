import type { Load, PlacementRequest, Scorer } from '../contract.ts';

/** Fewer may be anybody's fault; from so many on, the host may be the cause. */
export const FAILURES_HELD_AGAINST_A_HOST = 3;

const failuresOn = ({ failedOn }: PlacementRequest, { host }: Load) => failedOn?.[host.name] ?? 0;

/** A host on which it failed again and again comes last; it stays possible, for there may be no other. */
export const earlierFailures: Scorer = {
  name: 'earlier-failures',
  score: (request, load) => Math.floor(failuresOn(request, load) / FAILURES_HELD_AGAINST_A_HOST),
  reason: (request, load) => {
    const failures = failuresOn(request, load);
    return failures === 0 ? '' : `it failed ${failures} times here`;
  },
};
