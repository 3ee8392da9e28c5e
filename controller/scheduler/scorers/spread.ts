import type { Scorer } from '../contract.ts';

/** Counts are cut off here, so that five levels fit a double's 53 bits. */
const MAXIMUM_COUNT = 1000;

/**
 * Fewest of the same role under the same fault domain, level by level: site before room before rack before power before host.
 * A failure anywhere then takes as few of a role as the hosts allow.
 */
export const spread: Scorer = {
  name: 'spread',
  score(_request, { domains }, group) {
    let score = 0;
    for (const domain of domains)
      score = score * MAXIMUM_COUNT + Math.min(group[domain] ?? 0, MAXIMUM_COUNT - 1);
    return score;
  },
  reason: (request, { domains }, group) =>
    `${group[domains.at(-1) ?? -1] ?? 0} of ${request.group} on this host, ${group[domains.at(-2) ?? -1] ?? 0} in its fault domain`,
};
