import { isToGo, type PlacementExplanation, type Service, type Size, type VmRecord } from '../model/index.ts';
import { machineDefinition, roleDefinition } from '../reconciler/definition.ts';
import { candidateOf, claimsOf } from '../scheduler/candidates.ts';
import type { PlacementRequest } from '../scheduler/contract.ts';
import { explain } from '../scheduler/explain.ts';
import { Placer } from '../scheduler/placer.ts';
import type { PlanPreview } from './contract.ts';
import type { Architectures, Fabric } from './fabric.ts';

const DEFAULT_POOL = 'local';

type Step = PlanPreview['steps'][number];

/** One VM that the service wants. */
interface Wanted {
  readonly id: string;
  readonly group: string;
  readonly image: string;
  readonly size: Size;
  readonly pool: string;
  readonly definition: string;
  readonly isMachine: boolean;
}

export interface Forecast extends PlanPreview {
  /** VMs that need a host, and how many of them find one. */
  readonly placed: { readonly wanted: number; readonly fits: number };
}

/**
 * What becomes of an application under this service, and where each new VM would go. Pure. Claims of what goes and of what
 * is replaced count as free, as they are by the time the new ones are placed.
 */
export function forecast(
  fabric: Fabric,
  service: Service,
  architectures: Architectures,
  nowMs: number,
): Forecast {
  const wanted = new Map(wantedBy(service).map((vm) => [vm.id, vm]));
  const existing = [...fabric.vms.values()].filter((vm) => vm.app === service.name);
  const steps: Step[] = [];
  const toPlace: Wanted[] = [];
  const freed = new Set<string>();

  for (const vm of wanted.values()) {
    const record = fabric.vms.get(vm.id);
    const step = stepFor(vm, record);
    steps.push(step);
    if (step.action === 'keep') continue;
    // A machine stays with its disk: nothing of it is placed anew.
    if (vm.isMachine && record?.host) continue;
    freed.add(vm.id);
    toPlace.push(vm);
  }
  for (const vm of existing.filter(({ id }) => !wanted.has(id))) {
    steps.push(stepForUnwanted(vm));
    if (vm.role !== null) freed.add(vm.id);
  }

  const placer = placerWithout(fabric, freed);
  const hostOf = new Map<string, string>();
  const refusals: { id: string; explanation: PlacementExplanation }[] = [];
  // In the order of their records' keys, in which the plan takes them.
  for (const vm of toPlace.sort((one, other) => (one.id < other.id ? -1 : 1))) {
    const request: PlacementRequest = {
      id: vm.id,
      group: vm.group,
      size: vm.size,
      pool: vm.pool,
      isMachine: vm.isMachine,
      poolId: null,
      isNewMachine: vm.isMachine,
      architecture: architectures.get(vm.image) ?? null,
      only: null,
      avoid: null,
    };
    const host = placer.place(request);
    if (host === null) refusals.push({ id: vm.id, explanation: explain(placer, request, null, nowMs) });
    else hostOf.set(vm.id, host);
  }
  return {
    steps: steps.map((step) => ({ ...step, host: hostOf.get(step.id) ?? null })),
    refusals,
    placed: { wanted: toPlace.length, fits: hostOf.size },
  };
}

function stepFor(vm: Wanted, record: VmRecord | undefined): Step {
  const step = { id: vm.id, host: null };
  if (!record) return { ...step, action: 'create', reason: 'the model asks for it' };
  if (isToGo(record))
    return {
      ...step,
      action: 'create',
      reason: 'the one of that name is going; it is made again after that',
    };
  if (record.host === null) return { ...step, action: 'create', reason: 'it has no host yet' };
  if (record.definition === vm.definition)
    return { ...step, action: 'keep', reason: 'nothing of it changes' };
  return {
    ...step,
    action: 'replace',
    reason: vm.isMachine
      ? 'its size changes: it is restarted on its disk'
      : 'its definition changes: a new incarnation, one instance at a time',
  };
}

function stepForUnwanted({ id, role, ...record }: VmRecord): Step {
  if (role === null && !isToGo(record))
    return {
      action: 'keep',
      id,
      host: null,
      reason: `the model does not name this machine any more; its disk is kept until "weft delete ${id}"`,
    };
  return { action: 'remove', id, host: null, reason: 'nobody wants it any more' };
}

function wantedBy(service: Service): readonly Wanted[] {
  const { name: app } = service;
  const machines = Object.entries(service.machines).map(
    ([name, machine]): Wanted => ({
      id: `${app}/${name}`,
      group: `${app}/${name}`,
      image: machine.image,
      size: machine.size,
      pool: machine.pool,
      definition: machineDefinition(machine),
      isMachine: true,
    }),
  );
  const instances = Object.entries(service.roles).flatMap(([name, role]) => {
    const definition = roleDefinition(role, service.package);
    return Array.from(
      { length: role.instances },
      (_, index): Wanted => ({
        id: `${app}/${name}-${index}`,
        group: `${app}/${name}`,
        image: role.image,
        size: role.size,
        pool: role.pool ?? DEFAULT_POOL,
        definition,
        isMachine: false,
      }),
    );
  });
  return [...machines, ...instances];
}

function placerWithout({ hosts, claims, vms }: Fabric, freed: ReadonlySet<string>): Placer {
  const groupOf = (id: string) => {
    const vm = vms.get(id);
    return vm?.role ? `${vm.app}/${vm.role}` : id;
  };
  const candidates = hosts.map(candidateOf).filter((candidate) => candidate !== null);
  const kept = [...claims].flatMap(([host, record]) =>
    claimsOf(
      host,
      {
        vms: Object.fromEntries(
          Object.entries(record.vms).filter(([key]) => !freed.has(key.slice(0, key.lastIndexOf('@')))),
        ),
      },
      groupOf,
    ),
  );
  return new Placer(candidates, kept);
}
