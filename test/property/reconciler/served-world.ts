import type { EdgeReport, VmReport } from '../../../agent/protocol/index.ts';
import type { VmRecord } from '../../../controller/model/index.ts';
import { edgeGoalOf } from '../../../controller/reconciler/edge-goals.ts';
import { DEFAULT_SETTINGS, type Plan, plan } from '../../../controller/reconciler/plan.ts';
import type { World } from '../../../controller/reconciler/world.ts';
import { aHost, type HostShape } from '../../support/builders/host.ts';
import { PlanningWorld } from './planning-world.ts';

/** A planning world whose hosts all serve the world, and say so. */
export class ServedWorld {
  readonly planning = new PlanningWorld();
  /** Open connections of a backend that drains, on every edge host. */
  sessions: (backend: string) => number = () => 0;
  say: (vm: VmRecord) => Partial<VmReport> = () => ({});

  constructor(hosts: number, shape: HostShape = {}) {
    for (let index = 1; index <= hosts; index++)
      this.planning.addHost(aHost(`h${index}`, { ...shape, edgeAt: `192.0.2.${index}` }));
  }

  vm(id: string): VmRecord | undefined {
    return this.planning.records.vms.get(id);
  }

  /** Name → state of what a host serves. */
  backends(host = 'h1'): Readonly<Record<string, string>> {
    const { endpoints } = edgeGoalOf(host, this.snapshot()) ?? { endpoints: [] };
    return Object.fromEntries(
      endpoints.flatMap(({ backends }) => backends.map(({ name, state }) => [name, state])),
    );
  }

  snapshot(): World {
    const made = this.planning.snapshot();
    return withEdgeReports(made, (host) => this.#edgeReport(host, made));
  }

  /** One plan, written and followed. */
  pass(): Plan {
    const planned = plan(this.snapshot(), this.planning.nowMs, DEFAULT_SETTINGS);
    this.planning.write(planned);
    this.planning.letHostsFollow(this.say);
    return planned;
  }

  /** @throws when there is no end to it. */
  settle(afterMs = 0): void {
    this.planning.pass(afterMs);
    this.planning.letHostsFollow(this.say);
    for (let passes = 0; passes < 80; passes++) {
      const { puts, deletes, events } = this.pass();
      if (puts.length + deletes.length + events.length === 0) return;
    }
    throw new Error('the plan does not come to rest');
  }

  #edgeReport(host: string, world: World): EdgeReport | undefined {
    const goal = edgeGoalOf(host, world);
    return goal && servedAs(goal, ({ name, state }) => seenAs(state, 'up', this.sessions(name)));
  }
}

type EdgeGoal = NonNullable<ReturnType<typeof edgeGoalOf>>;
type Backend = EdgeGoal['endpoints'][number]['backends'][number];
type BackendSeen = Omit<EdgeReport['endpoints'][number]['backends'][number], 'name'>;

/** A backend that drains has so many connections left, any other one. */
export const seenAs = (state: Backend['state'], otherwise: 'up' | 'down', sessions: number): BackendSeen =>
  state === 'draining' ? { state, sessions } : { state: otherwise, sessions: 1 };

/** What an edge host says that does what it is told. */
export const servedAs = (goal: EdgeGoal, seen: (backend: Backend) => BackendSeen): EdgeReport => ({
  endpoints: goal.endpoints.map(({ id, backends }) => ({
    ...{ id, state: 'served', connections: 0, bytesIn: 0, bytesOut: 0 },
    backends: backends.map((backend) => ({ name: backend.name, ...seen(backend) })),
  })),
  held: [],
  missing: [],
});

/** The same world, in which hosts have reported this of what they serve. Undefined: nothing. */
export function withEdgeReports(world: World, reportOf: (host: string) => EdgeReport | undefined): World {
  const live = new Map(
    [...world.live].map(([name, each]) => {
      const edge = reportOf(name);
      return [name, each.report && edge ? { ...each, report: { ...each.report, edge } } : each] as const;
    }),
  );
  return { ...world, live };
}
