import { LIVES_OF_A_CRASH_LOOP } from '../../agent/protocol/index.ts';
import type { VmRecord } from '../model/records.ts';
import type { Draft } from './draft.ts';

/** Failures after which an instance stays failed until somebody does something about it. */
export const MOST_FAILURES = 8;
/** When even hosts that it never failed on do not get it a place. */
const MOST_FAILURES_ON_ONE_HOST = 2 * MOST_FAILURES;

/** With one more failure on the host where it is. */
export function withFailure(record: VmRecord, code: string): VmRecord['failedOn'] {
  if (record.host === null) return record.failedOn;
  const weight = code === 'guest-crash-loop' ? LIVES_OF_A_CRASH_LOOP : 1;
  return { ...record.failedOn, [record.host]: (record.failedOn[record.host] ?? 0) + weight };
}

/** A user, or a new definition, gives it a new chance. */
export const FORGIVEN = { failures: 0, failedOn: {} } as const;

/**
 * It failed so often that trying again by itself is of no use: on two hosts, if there are two, as one host may be the cause. A machine
 * is never given up, as nothing can take its place.
 */
export function isGivenUp(draft: Draft, record: Pick<VmRecord, 'kind' | 'failedOn'>): boolean {
  if (record.kind === 'machine') return false;
  const counts = Object.values(record.failedOn);
  const failures = counts.reduce((sum, count) => sum + count, 0);
  if (failures < MOST_FAILURES) return false;
  if (counts.length > 1 || failures >= MOST_FAILURES_ON_ONE_HOST) return true;
  let others = 0;
  for (const host of draft.all('hosts'))
    if (host.state === 'up' && !host.draining && record.failedOn[host.name] === undefined) others++;
  return others === 0;
}
