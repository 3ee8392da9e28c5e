import type { ChallengeRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';

/** What was asked for by an ACME client that did not come back is answered no more when its time is over. */
export function forgetChallenges(draft: Draft): void {
  for (const { token, untilMs } of draft.all('challenges'))
    if (untilMs <= draft.nowMs) draft.delete('challenges', token);
}

export const nextChallengeMs = (draft: Draft): number | null => draft.of('challenges', firstEnd);

const firstEnd = (challenges: readonly ChallengeRecord[]): number | null =>
  challenges.length === 0 ? null : Math.min(...challenges.map(({ untilMs }) => untilMs));
