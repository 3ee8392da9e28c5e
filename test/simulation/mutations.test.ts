import { describe, expect, test } from 'vitest';
import { plan as planOfAgent, type StepKind } from '../../agent/executor/plan.ts';
import type { HostOffer } from '../../agent/protocol/index.ts';
import type { ClaimsRecord, HostRecord, VmRecord } from '../../controller/model/index.ts';
import { type Plan, plan } from '../../controller/reconciler/plan.ts';
import type { LiveHost, World } from '../../controller/reconciler/world.ts';
import { convergedUnder } from './support/converged.ts';
import { shapesOf } from './support/explore.ts';
import { model } from './support/faults.ts';
import { expectCaught, type Mutation } from './support/mutation.ts';
import { Simulation } from './support/simulation.ts';

type Puts = Plan['puts'];
/** Changes what the real planner wants written. */
const writing =
  (change: (puts: Puts, world: World) => Puts): typeof plan =>
  (world, nowMs, settings) => {
    const planned = plan(world, nowMs, settings);
    return { ...planned, puts: change(planned.puts, world) };
  };
const vmsIn = (change: (vm: VmRecord, world: World) => VmRecord) =>
  writing((puts, world) =>
    puts.map(({ key, value }) => ({
      key,
      value: key.startsWith('vms/') ? change(value as VmRecord, world) : value,
    })),
  );

/** The controller takes silence for death. */
const believesInSilence: typeof plan = (world, nowMs, settings) => {
  const dead = [...world.hosts.values()].filter(({ state }) => state === 'down');
  const fencing = new Map(
    dead.map(({ name, stateSinceMs }) => {
      const proof = { kind: 'operator', host: name, atMs: nowMs, detail: 'it is silent' } as const;
      return [name, { host: name, downSinceMs: stateSinceMs, attempts: [], tried: 0, proof }] as const;
    }),
  );
  return plan({ ...world, fencing: new Map([...world.fencing, ...fencing]) }, nowMs, settings);
};

const agentWithout =
  (left: StepKind): typeof planOfAgent =>
  (...world) =>
    planOfAgent(...world).filter(({ kind }) => kind !== left);

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'a machine is restarted because its host is silent': [
    /is on h\d and on h\d|while it runs on/,
    { plan: believesInSilence },
  ],
  'a machine goes elsewhere and no proof is written down': [
    /a machine changes its host by proof only/,
    { plan: vmsIn((vm) => ({ ...vm, proof: null })) },
  ],
  'a new incarnation has the number of the old one': [
    /incarnations only grow|has exactly its claim|waited in vain/,
    {
      plan: vmsIn((vm, world) => {
        const before = world.vms.get(vm.id);
        return before && before.host !== vm.host && vm.incarnation > 1
          ? { ...vm, incarnation: before.incarnation }
          : vm;
      }),
    },
  ],
  'a VM is placed and nothing is claimed': [
    /every placed VM has exactly its claim/,
    { plan: writing((puts) => puts.filter(({ key }) => !key.startsWith('claims/'))) },
  ],
  'a claim is written for nothing, or for less': [
    /every placed VM has exactly its claim/,
    {
      plan: writing((puts) =>
        puts.map(({ key, value }) => ({
          key,
          value: key.startsWith('claims/')
            ? { vms: Object.fromEntries(Object.entries((value as ClaimsRecord).vms).slice(1)) }
            : value,
        })),
      ),
    },
  ],
  'hosts are believed to have ten times their memory': [
    /capacity is never over-promised/,
    {
      memoryMiB: 384,
      plan: (world, nowMs, settings) => {
        const tenfold = <T extends { offer: HostOffer | null }>(one: T): T =>
          one.offer ? { ...one, offer: { ...one.offer, memoryMiB: one.offer.memoryMiB * 10 } } : one;
        const hosts = new Map([...world.hosts].map(([name, host]) => [name, tenfold(host)]));
        const live = new Map(
          [...world.live].map(([name, host]) => [
            name,
            { ...host, hello: host.hello && tenfold(host.hello) },
          ]),
        );
        const planned = plan({ ...world, hosts, live }, nowMs, settings);
        const puts = planned.puts.map(({ key, value }) => {
          const { offer, ...host } = value as HostRecord;
          if (!key.startsWith('hosts/') || !offer || offer.memoryMiB < 2_560) return { key, value };
          return { key, value: { ...host, offer: { ...offer, memoryMiB: offer.memoryMiB / 10 } } };
        });
        return { ...planned, puts };
      },
    },
  ],
  'a machine gets a tombstone that no user asked for': [
    /went without a user’s delete/,
    {
      plan: (world, nowMs, settings) => {
        const planned = plan(world, nowMs, settings);
        const tombstones = [...world.vms.values()]
          .filter(({ deleting, state }) => state === 'unknown' && !deleting)
          .filter(({ kind, host }) => kind === 'machine' && host !== null)
          .flatMap((vm) => [
            {
              key: `tombstones/${vm.id}`,
              value: { id: vm.id, host: vm.host, upToIncarnation: vm.incarnation, atMs: nowMs },
            },
            { key: `vms/${vm.id}`, value: { ...vm, deleting: true } },
          ]);
        const keys = new Set(tombstones.map(({ key }) => key));
        return { ...planned, puts: [...planned.puts.filter(({ key }) => !keys.has(key)), ...tombstones] };
      },
    },
  ],
  'two VMs are given one address': [
    /no two VMs share an address/,
    { plan: vmsIn((vm) => (vm.role === 'web' ? { ...vm, address: '10.128.0.10' } : vm)) },
  ],
  'the lowest index goes first': [
    /the highest index goes first/,
    {
      plan: writing((puts, world) =>
        puts.map((put) => {
          const vm = put.value as VmRecord;
          if (!put.key.startsWith('vms/') || vm.role === null || !vm.deleting) return put;
          const lowest = world.vms.get(`${vm.app}/${vm.role}-0`);
          if (!lowest || lowest.deleting || world.vms.get(vm.id)?.deleting) return put;
          return {
            key: `vms/${lowest.id}`,
            value: { ...lowest, deleting: true, state: 'stopping', stateSinceMs: vm.stateSinceMs },
          };
        }),
      ),
    },
    ['scale', 'apply'],
  ],
  'an instance leaves a host that drains before its successor is ready': [
    /left h\d (for|before) \d+/,
    {
      plan: (world, nowMs, settings) => {
        const vms = [...world.vms].map(([id, vm]): [string, VmRecord] => [
          id,
          vm.successor && vm.role !== null ? { ...vm, successor: { ...vm.successor, state: 'ready' } } : vm,
        ]);
        return plan({ ...world, vms: new Map(vms) }, nowMs, settings);
      },
    },
    ['drain', 'undrain'],
  ],
  'a machine goes elsewhere while it is being stopped': [
    /while it runs on|is on h\d and on h\d/,
    {
      plan: (world, nowMs, settings) => {
        const live = [...world.live].map(([name, host]): [string, LiveHost] => {
          const isStopped = (id: string) => world.vms.get(id)?.power === 'stopped';
          const vms = host.report?.vms.map((vm) =>
            isStopped(vm.id) ? { ...vm, phase: 'stopped' as const } : vm,
          );
          return [name, host.report ? { ...host, report: { ...host.report, vms: vms ?? [] } } : host];
        });
        return plan({ ...world, live: new Map(live) }, nowMs, settings);
      },
    },
    ['drain cold', 'undrain', 'move machine'],
  ],
  'an agent keeps the overlays of what is over': [
    /waited in vain/,
    { hostMutation: { plan: agentWithout('discard') } },
    ['scale', 'move', 'reimage'],
  ],
};

/** Buries the disk of every machine that the goal does not name. */
const buriesStrangers: typeof planOfAgent = (goal, observed, nowMs, options) => {
  const named = new Set(goal.vms.map(({ id }) => id));
  const strangers = observed.disks.filter(({ kind, vmId }) => kind === 'machine' && !named.has(vmId));
  return [
    ...planOfAgent(goal, observed, nowMs, options),
    ...strangers.map((disk) => ({ kind: 'bury', vmId: disk.vmId, disk, upToIncarnation: 1_000 }) as const),
  ];
};

test('the simulation catches an agent that removes machines which its goal does not name', async () => {
  const simulation = await Simulation.start({
    seed: 1,
    hosts: shapesOf(1, 3),
    hostMutation: { plan: buriesStrangers },
  });
  await simulation.operations.apply('shop', model(1, 1), {});
  await simulation.until('all to run', (records) => convergedUnder(records, simulation.hosts));
  await simulation.loseStore();
  await simulation.startController();
  await expect(simulation.run(30_000)).rejects.toThrow(/went without a user’s delete/);
  simulation.killController();
});

describe('the simulation catches what is broken on purpose', () => {
  test.each(Object.entries(MUTATIONS))('%s', (_name, mutation) => expectCaught(...mutation));
});
