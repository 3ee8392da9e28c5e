import fc from 'fast-check';
import type { DiskView } from '../../../agent/disks/contract.ts';
import { domainName, networkName } from '../../../agent/executor/names.ts';
import { type Observed, plan, type Step, unnamed, type VmMemory } from '../../../agent/executor/plan.ts';
import type { DomainView, NetworkView } from '../../../agent/hypervisor/driver.ts';
import type { Goal, VmGoal } from '../../../agent/protocol/index.ts';
import { aGoal, aMachineGoal, aVmGoal, FLEET } from '../../support/builders/goal.ts';

export const REAP_MS = 1_000;
export const UNREADY_MS = 2_000;
const WAIT_MS = 700;
const IDS = ['crm/web-0', 'crm/web-1', 'crm/db', 'shop/db'] as const;
const isMachine = (id: string) => id.endsWith('db');

export interface World {
  readonly goal: Goal;
  readonly observed: Observed;
  readonly nowMs: number;
}

const incarnation = fc.integer({ min: 1, max: 4 });
const generation = fc.integer({ min: 0, max: 2 });
const timeMs = fc.integer({ min: 0, max: 5_000 });

const aGoalVm = (id: string) =>
  fc
    .record({ incarnation, rebootGeneration: generation, power: fc.constantFrom('running', 'stopped') })
    .map((overrides) => {
      const [app = ''] = id.split('/');
      const networkId = `${app}/${isMachine(id) ? 'machines' : 'web'}`;
      const base = isMachine(id) ? aMachineGoal({ id }) : aVmGoal({ id });
      return { ...base, ...overrides, app, nic: { ...base.nic, networkId } } as VmGoal;
    });

const diskPath = (id: string, of: number) =>
  isMachine(id) ? `/pool/machines/${id}/disk.qcow2` : `/pool/roles/${id}/${of}.qcow2`;

export const aDisk = (id: string, of: number): DiskView => ({
  ...{ pool: 'local', vmId: id, path: diskPath(id, of) },
  ...(isMachine(id) ? { kind: 'machine', incarnation: null } : { kind: 'instance', incarnation: of }),
});

const aDomain = (id: string): fc.Arbitrary<DomainView> =>
  fc
    .record({
      incarnation,
      rebootGeneration: generation,
      state: fc.constantFrom('running', 'paused', 'shut-off', 'crashed', 'other'),
      reason: fc.constantFrom('unknown', 'watchdog', 'shutdown'),
    })
    .map(({ state, reason, ...life }) => ({
      name: domainName(FLEET, id),
      mark: { fleet: FLEET, id, kind: isMachine(id) ? ('machine' as const) : ('instance' as const), ...life },
      state: state as DomainView['state'],
      reason,
      overlay: diskPath(id, life.incarnation),
      files: [diskPath(id, life.incarnation)],
    }));

/** Someone else's, also one that lies on a disk of ours or has a name that looks like ours. */
const aForeignDomain = fc.record({
  name: fc.constantFrom('someone-elses', domainName('f00d', 'crm/web-0')),
  mark: fc.constant(null),
  state: fc.constantFrom<DomainView['state']>('running', 'shut-off'),
  reason: fc.constant('unknown'),
  overlay: fc.constantFrom(null, diskPath('crm/web-0', 1), diskPath('crm/db', 1)),
  files: fc.constant([]),
});

const aMemory = fc.record({
  ...{ incarnation, failed: fc.boolean(), supervised: fc.boolean(), alive: fc.boolean() },
  unreadySinceMs: fc.option(timeMs, { nil: null }),
  condemned: fc.constantFrom(null, null, 'reset' as const),
  notBeforeMs: timeMs,
});

const aNetworkView: fc.Arbitrary<NetworkView> = fc
  .record({ number: fc.integer({ min: 1, max: 6 }), isOurs: fc.boolean() })
  .map(({ number, isOurs }) => ({
    name: isOurs ? networkName(FLEET, { number }) : `net-${number}`,
    mark: isOurs ? { fleet: FLEET, id: `net/${number}` } : null,
    active: true,
    bridge: null,
    leases: [],
  }));

const some = <T>(of: (id: string) => fc.Arbitrary<T>) =>
  fc
    .tuple(...IDS.map((id) => fc.option(of(id), { nil: null })))
    .map((all) => all.filter((each) => each !== null));

/** Any host under any goal, also where they have nothing to do with each other. */
export const aWorld: fc.Arbitrary<World> = fc
  .record({
    vms: some(aGoalVm),
    domains: some(aDomain),
    foreign: fc.uniqueArray(aForeignDomain, { maxLength: 2, selector: ({ name }) => name }),
    disks: some((id) =>
      fc.array(incarnation, { minLength: 1, maxLength: 2 }).map((all) => all.map((of) => aDisk(id, of))),
    ),
    folders: fc.subarray([...IDS]),
    networks: fc.uniqueArray(aNetworkView, { maxLength: 4, selector: ({ name }) => name }),
    memory: some((id) => aMemory.map((memory): [string, VmMemory] => [id, memory])),
    tombstones: some((id) => incarnation.map((upToIncarnation) => ({ id, upToIncarnation }))),
    superseded: some((id) => incarnation.map((upToIncarnation) => ({ id, upToIncarnation }))),
    since: fc.array(timeMs, { minLength: 16, maxLength: 16 }),
    nowMs: timeMs,
  })
  .map(
    ({ vms, domains, foreign, disks, folders, networks, memory, tombstones, superseded, since, nowMs }) => {
      const goal = aGoal(vms, { tombstones, superseded });
      // A defined domain of ours has its disk.
      const ofDomains = domains.flatMap(({ mark }) => (mark ? [aDisk(mark.id, mark.incarnation)] : []));
      const allDisks = [
        ...new Map([...disks.flat(), ...ofDomains].map((disk) => [disk.path, disk])).values(),
      ];
      // Whatever a quarantine was ever told of: also what must never be reaped.
      const keys = [...domains, ...foreign].map(({ name }) => name).concat(allDisks.map(({ path }) => path));
      const observed: Observed = {
        domains: [...domains, ...foreign],
        ...{ disks: allDisks, folders, networks, memory: new Map(memory) },
        unnamedSinceMs: new Map(keys.map((key, index) => [key, since[index] ?? 0])),
      };
      return { goal, observed, nowMs };
    },
  );

export const planned = ({ goal, observed, nowMs }: World): readonly Step[] =>
  plan(goal, observed, nowMs, {
    reapAfterMs: REAP_MS,
    unreadyLimitMs: UNREADY_MS,
    networkNames: new Set(goal.networks.map((network) => networkName(FLEET, network))),
  });

/** The host after a step was carried out, as the executors would leave it. */
export function after(step: Step, world: World): World {
  const { observed, goal } = world;
  const next = {
    domains: [...observed.domains],
    disks: [...observed.disks],
    folders: [...observed.folders],
    networks: [...observed.networks],
    memory: new Map(observed.memory),
  };
  const setDomain = (vm: VmGoal, change: (domain: DomainView) => DomainView) => {
    next.domains = next.domains.map((domain) => (domain.mark?.id === vm.id ? change(domain) : domain));
  };
  const remember = (vm: VmGoal) => {
    next.memory.set(vm.id, {
      ...{ incarnation: vm.incarnation, failed: false, supervised: true, alive: true, notBeforeMs: 0 },
      ...{ unreadySinceMs: null, condemned: null },
    });
  };
  switch (step.kind) {
    case 'provision': {
      const { vm } = step;
      const disk = aDisk(vm.id, vm.incarnation);
      const network = goal.networks.find((each) => each.id === vm.nic.networkId);
      const name = network ? networkName(FLEET, network) : '';
      next.domains = next.domains.filter((domain) => domain.mark?.id !== vm.id);
      next.domains.push({
        name: domainName(FLEET, vm.id),
        mark: {
          ...{ fleet: FLEET, id: vm.id, incarnation: vm.incarnation, rebootGeneration: vm.rebootGeneration },
          kind: isMachine(vm.id) ? 'machine' : 'instance',
        },
        ...{ state: 'running', reason: 'booted', overlay: disk.path, files: [disk.path] },
      });
      if (!next.disks.some(({ path }) => path === disk.path)) next.disks.push(disk);
      if (!next.networks.some((each) => each.name === name))
        next.networks.push({
          name,
          mark: { fleet: FLEET, id: vm.nic.networkId },
          active: true,
          bridge: null,
          leases: [],
        });
      if (!next.folders.includes(vm.id)) next.folders.push(vm.id);
      remember(vm);
      break;
    }
    case 'supervise':
      remember(step.vm);
      break;
    case 'examine': {
      const { vm, domain } = step;
      if (step.cause !== 'power-off' && step.cause !== 'killed')
        next.domains = next.domains.filter(({ name }) => name !== domain);
      next.memory.set(vm.id, {
        ...{ incarnation: vm.incarnation, failed: false, supervised: false, alive: false },
        ...{ unreadySinceMs: null, condemned: null, notBeforeMs: world.nowMs + WAIT_MS },
      });
      break;
    }
    case 'reboot':
      setDomain(step.vm, (domain) => ({
        ...domain,
        mark: domain.mark && { ...domain.mark, rebootGeneration: step.vm.rebootGeneration },
      }));
      break;
    case 'stop':
      setDomain(step.vm, (domain) => ({ ...domain, state: 'shut-off' }));
      break;
    case 'retire':
      next.domains = next.domains.filter(({ name }) => name !== step.domain);
      break;
    case 'discard':
    case 'bury':
      next.disks = next.disks.filter(({ path }) => path !== step.disk.path);
      break;
    case 'sweep':
      next.folders = next.folders.filter((id) => id !== step.vmId);
      break;
    case 'remove-network':
      next.networks = next.networks.filter(({ name }) => name !== step.network);
      break;
  }
  const keys = unnamed(goal, next);
  const unnamedSinceMs = new Map(keys.map((key) => [key, observed.unnamedSinceMs.get(key) ?? world.nowMs]));
  return { ...world, observed: { ...next, unnamedSinceMs } };
}
