import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Goal } from '../../../agent/protocol/index.ts';
import type { VmRecord } from '../../../controller/model/index.ts';
import type { Endpoint } from '../../../controller/model/service.ts';
import { edgeHosts } from '../../../controller/reconciler/edge-hosts.ts';
import { networkPartsOf } from '../../../controller/reconciler/network-goals.ts';
import type { NetworkWorld } from '../../../controller/reconciler/network-world.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { anyDeclared, anyHost, applicationOf, guestsOf, HOSTS, hostOf } from './any-fabric.ts';

const anyFabric = fc.record({
  applications: fc.tuple(anyDeclared, anyDeclared),
  hosts: fc.tuple(anyHost, anyHost, anyHost, anyHost),
  places: fc.array(fc.constantFrom(...HOSTS, null), { minLength: 1, maxLength: 30 }),
});

type AnyFabric = typeof anyFabric extends fc.Arbitrary<infer T> ? T : never;

function worldOf({ applications, hosts, places }: AnyFabric): NetworkWorld {
  const records = applications.map((declared, index) =>
    applicationOf(['crm', 'shop'][index] ?? '', declared),
  );
  let guest = 0;
  const made = records.map((record, index) =>
    guestsOf(record, 1 + index * 8, () => places[guest++ % places.length] ?? null),
  );
  return {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    applications: new Map(records.map((record) => [record.name, record])),
    hosts: new Map(HOSTS.map((name, index) => [name, hostOf(name, hosts[index] as never)])),
    vms: new Map(made.flatMap(({ vms }) => vms).map((vm) => [vm.id, vm])),
    networks: new Map(made.flatMap(({ networks }) => networks).map((network) => [network.id, network])),
  };
}

const goalsOf = (world: NetworkWorld): ReadonlyMap<string, Pick<Goal, 'networks' | 'backbone' | 'router'>> =>
  new Map(HOSTS.map((host) => [host, networkPartsOf(host, guestsOn(host, world), world)]));

const guestsOn = (host: string, { vms }: NetworkWorld): readonly VmRecord[] =>
  [...vms.values()].filter((vm) => vm.host === host);

const CHOICES = ['tcp', 'udp'].flatMap((protocol) => [80, 443, 5432, 22].map((port) => ({ protocol, port })));

/** By what the model's documentation says alone. @param from null: a load balancer. */
function isDeclared(
  from: VmRecord | null,
  to: VmRecord,
  protocol: string,
  port: number,
  world: NetworkWorld,
): boolean {
  if (from && from.app !== to.app) return false;
  const service = world.applications.get(to.app)?.service;
  const name = to.networkId.split('/')[1] ?? '';
  const ownName = to.id.split('/')[1] ?? '';
  const endpoints: Readonly<Record<string, Endpoint>> =
    (to.role === null ? service?.machines[ownName]?.endpoints : service?.roles[to.role]?.endpoints) ?? {};
  if (from && to.role !== null && from.networkId === to.networkId)
    return service?.roles[to.role]?.mesh === true;
  return Object.values(endpoints).some((endpoint) => {
    const carried = endpoint.protocol === 'udp' ? 'udp' : 'tcp';
    if (endpoint.targetPort !== port || carried !== protocol) return false;
    if (!from) return endpoint.type !== 'internal';
    const origin = from.networkId.split('/')[1] ?? '';
    return (
      endpoint.type === 'internal' &&
      (origin !== name || to.role === null) &&
      (endpoint.from.length === 0 || endpoint.from.includes(origin))
    );
  });
}

/** By what a host that has this goal would let through. */
function isLetThrough(
  router: NonNullable<Goal['router']>,
  from: VmRecord | null,
  to: VmRecord,
  protocol: string,
  port: number,
): boolean {
  return router.flows.some(
    (flow) =>
      flow.from.includes(from?.networkId ?? 'edge') &&
      flow.to === to.networkId &&
      (flow.address === undefined || flow.address === to.address) &&
      (flow.protocol === 'any' || (flow.protocol === protocol && flow.port === port)),
  );
}

test('exactly what is declared is let through, on both hosts that it passes', () => {
  fc.assert(
    fc.property(anyFabric, (any) => {
      const world = worldOf(any);
      const goals = goalsOf(world);
      const guests = [...world.vms.values()].filter(({ host }) => host !== null);
      for (const to of guests)
        for (const from of [null, ...guests]) {
          if (from === to) continue;
          for (const { protocol, port } of CHOICES)
            for (const host of new Set([from?.host ?? to.host, to.host]))
              expect(
                isLetThrough(goals.get(host ?? '')?.router as never, from, to, protocol, port),
                `${from?.id ?? 'edge'} → ${to.id}:${port}/${protocol} on ${host}`,
              ).toBe(isDeclared(from, to, protocol, port, world));
        }
    }),
    { numRuns: 300 },
  );
});

test('a host has a route to exactly those guests elsewhere that may speak with one of its own, or that it publishes', () => {
  fc.assert(
    fc.property(anyFabric, (any) => {
      const world = worldOf(any);
      const goals = goalsOf(world);
      const edges = edgeHosts([...world.hosts.values()]);
      const speak = (one: VmRecord | null, other: VmRecord) =>
        (one?.networkId !== other.networkId || other.role === null) &&
        CHOICES.some(
          ({ protocol, port }) =>
            isDeclared(one, other, protocol, port, world) ||
            (one !== null && isDeclared(other, one, protocol, port, world)),
        );
      /** An endpoint of one machine opens its host's way to all of its network: flows, not routes, are what keeps guests apart. */
      const anyOn = (guest: VmRecord) =>
        [...world.vms.values()].filter(({ networkId }) => networkId === guest.networkId);
      for (const host of HOSTS) {
        const { backbone, router } = goals.get(host) ?? {};
        const here = guestsOn(host, world).flatMap(anyOn);
        const expected = [...world.vms.values()]
          .filter((vm) => vm.host !== null && vm.host !== host && backbone !== undefined)
          .filter((vm) =>
            anyOn(vm).some(
              (other) => here.some((one) => speak(one, other)) || (edges.has(host) && speak(null, other)),
            ),
          )
          .map(({ address }) => address)
          .sort();
        expect(router?.routes.map(({ address }) => address).sort(), host).toEqual(expected);
      }
    }),
    { numRuns: 300 },
  );
});

test('meshes have all of their guests on other hosts as peers, and nothing else is a mesh', () => {
  fc.assert(
    fc.property(anyFabric, (any) => {
      const world = worldOf(any);
      for (const [host, { networks }] of goalsOf(world))
        for (const { id, mesh } of networks) {
          const [app = '', name = ''] = id.split('/');
          const others = [...world.vms.values()].filter(
            (vm) => vm.networkId === id && vm.host !== null && vm.host !== host,
          );
          if (world.applications.get(app)?.service.roles[name]?.mesh !== true) expect(mesh).toBeUndefined();
          else
            expect(mesh?.peers.map((peer) => [peer.mac, peer.address, peer.host])).toEqual(
              others.map((vm) => [vm.mac, vm.address, vm.host]),
            );
        }
    }),
    { numRuns: 200 },
  );
});
