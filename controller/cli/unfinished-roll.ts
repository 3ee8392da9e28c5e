import type { HostRow, RollRow } from '../client/index.ts';

export interface UnfinishedRoll {
  readonly roll: RollRow;
  readonly done: readonly string[];
  /** Not booted anew yet. */
  readonly left: readonly string[];
  /** Of those left: drained for it, whatever became of who did it. */
  readonly atHand: readonly string[];
}

/** The newest roll of which any host tells, unless all of its hosts are done or gone. Null: there is none. Pure. */
export function unfinishedRoll(rows: readonly HostRow[]): UnfinishedRoll | null {
  const known = rows.flatMap(({ roll, rolled }) => [roll ?? [], rolled ?? []].flat());
  const newest = known.reduce<RollRow | null>(
    (last, each) => (last === null || each.id > last.id ? each : last),
    null,
  );
  if (newest === null) return null;
  const roll = { id: newest.id, hosts: newest.hosts };
  const its = rows.filter(({ name }) => roll.hosts.includes(name));
  const isDone = (row: HostRow) => row.rolled?.id === roll.id && row.roll?.id !== roll.id;
  const names = (those: readonly HostRow[]) => those.map(({ name }) => name).sort();
  const left = its.filter((row) => !isDone(row));
  if (left.length === 0) return null;
  return {
    roll,
    done: names(its.filter(isDone)),
    left: names(left),
    atHand: names(left.filter((row) => row.roll?.id === roll.id)),
  };
}

/** `the roll begun 2026-01-02T03:04:05: done h1; left h2, h3; h2 is drained`. */
export function describeUnfinished({ roll, done, left, atHand }: UnfinishedRoll): string {
  const drained =
    atHand.length === 0 ? '' : `; ${atHand.join(', ')} ${atHand.length === 1 ? 'is' : 'are'} drained`;
  return `the roll begun ${roll.id.slice(0, 19)}: done ${done.join(', ') || 'none'}; left ${left.join(', ')}${drained}`;
}
