import type { HostRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { telling } from '../live-hosts.ts';
import type { LiveHost } from '../world.ts';

/** Hosts whose agents do not understand what they are told: they stay at an earlier goal, and somebody has to know. */
export function followRefusedGoals(draft: Draft): void {
  const { live } = draft.world;
  for (const name of new Set([...telling(live, refuses), ...draft.of('hosts', refusing)])) {
    const host = draft.get('hosts', name);
    const report = live.get(name)?.report;
    if (!host || !report) continue;
    const now = report.refusedGoal?.reason ?? null;
    if (now === (host.refusedGoal ?? null)) continue;
    draft.put('hosts', name, { ...host, refusedGoal: now });
    if (now === null) draft.tell('goal-taken', name, 'its agent takes its goals again');
    else
      draft.tell(
        'goal-refused',
        name,
        `its agent cannot take its goal, and goes on with the one before: ${now}`,
      );
  }
}

const refuses = ({ connected, report }: LiveHost): boolean => connected && report?.refusedGoal !== undefined;

const refusing = (hosts: readonly HostRecord[]): readonly string[] =>
  hosts.flatMap(({ name, refusedGoal }) => ((refusedGoal ?? null) === null ? [] : [name]));
