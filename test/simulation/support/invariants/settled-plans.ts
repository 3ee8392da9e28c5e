import { type Plan, type PlanSettings, plan } from '../../../../controller/reconciler/plan.ts';
import { type Kind, PREFIXES, type World } from '../../../../controller/reconciler/world.ts';

/** @returns what a plan would still do although the one before it says that it leaves nothing; null: it keeps its word, or says no such thing. */
export function unsettledBy(
  world: World,
  nowMs: number,
  settings: PlanSettings,
  planned: Plan,
): string | null {
  if (!planned.isSettled || planned.puts.length === 0) return null;
  const { puts, deletes, events } = plan(withWrites(world, planned), nowMs, settings);
  if (puts.length + deletes.length + events.length === 0) return null;
  const written = (one: Pick<Plan, 'puts'>) => one.puts.map(({ key }) => key).join(', ');
  return `a plan that is settled leaves nothing to do: after ${written(planned)} another writes ${written({ puts })}, and removes ${deletes.join(', ')}`;
}

function withWrites(world: World, { puts, deletes }: Plan): World {
  const next: Record<string, unknown> = { ...world };
  for (const [kind, prefix] of Object.entries(PREFIXES) as [Kind, string][]) {
    const records = new Map<string, unknown>(world[kind]);
    for (const { key, value } of puts)
      if (key.startsWith(prefix)) records.set(key.slice(prefix.length), value);
    for (const key of deletes) if (key.startsWith(prefix)) records.delete(key.slice(prefix.length));
    next[kind] = records;
  }
  return next as unknown as World;
}
