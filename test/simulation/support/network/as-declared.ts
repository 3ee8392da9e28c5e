import { macOf } from '../../../../agent/kit/addressing.ts';
import type { VmRecord } from '../../../../controller/model/index.ts';
import type { Service } from '../../../../controller/model/service.ts';
import type { Records } from '../records.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import type { Simulation } from '../simulation.ts';
import { isDeclared, isPublished, type Party, portsOf, type ServicePort } from './declared.ts';
import { Router } from './router.ts';

/** Of so many guests it is tried whom they reach; with more of them, of as many, spread evenly. */
const MOST_SOURCES = 50;
/** A goal is on its way, and put in place, in less. */
const SETTLES_WITHIN_MS = 30_000;
const MOST_SAID = 10;

interface RunningGuest extends Party {
  readonly id: string;
  readonly address: string;
  readonly mac: string | null;
  readonly router: Router;
}

/**
 * Nothing goes wrong any more, and what is declared runs: now routers let pass exactly what the model declares, between any two guests, and
 * from any load balancer to any guest.
 * @throws what they do not, or let pass besides.
 */
export async function untilAsDeclared(simulation: Simulation): Promise<void> {
  let wrong = networkFaults(simulation.records, simulation.hosts);
  for (let passed = 0; wrong.length > 0 && passed < SETTLES_WITHIN_MS; passed += 1_000) {
    await simulation.run(1_000);
    wrong = networkFaults(simulation.records, simulation.hosts);
  }
  if (wrong.length > 0)
    throw new Error(
      `the network is not as declared, at ${simulation.clock.now()} ms:\n${wrong.slice(0, MOST_SAID).join('\n')}`,
    );
}

/** @returns what of the network is not as the model says; empty: all is. */
export function networkFaults(records: Records, hosts: readonly SimulatedHost[]): readonly string[] {
  const routers = new Map(
    hosts.flatMap((host) => (host.network ? [[host.name, new Router(host.name, host.network.part)]] : [])),
  );
  const guests = hosts.flatMap((host) => guestsOn(host, routers.get(host.name), records));
  const services = new Map(records.applications.map(({ name, service }) => [name, service]));
  const edges = records.hosts.flatMap(({ name, offer }) => (offer?.edge ? (routers.get(name) ?? []) : []));
  const step = Math.max(1, Math.ceil(guests.length / MOST_SOURCES));
  const sources = guests.filter((_guest, index) => index % step === 0);
  return [
    ...guests.flatMap(({ id, mac, address }) =>
      mac === macOf(address) ? [] : [`${id} has ${address}, and the interface of ${mac}`],
    ),
    ...guests.flatMap((to) => {
      const service = services.get(to.app);
      return service ? [...faultsTo(to, sources, service), ...faultsFromEdges(to, edges, service)] : [];
    }),
  ];
}

function faultsTo(to: RunningGuest, sources: readonly RunningGuest[], service: Service): readonly string[] {
  const ports = portsOf(service);
  return sources
    .filter((from) => from.id !== to.id)
    .flatMap((from) =>
      ports.flatMap((at) => {
        const connection = { from: from.address, to: to.address, ...at };
        const passes = from.router.passes(connection, to.router);
        return passes === isDeclared(service, from, to, at) ? [] : [saidOf(from.id, to, at, passes)];
      }),
    );
}

const faultsFromEdges = (to: RunningGuest, edges: readonly Router[], service: Service): readonly string[] =>
  // A host reaches its own guests whatever is declared.
  edges
    .filter((edge) => edge !== to.router)
    .flatMap((edge) =>
      portsOf(service).flatMap((at) => {
        const passes = edge.passesFromEdge({ to: to.address, ...at }, to.router);
        const from = `the load balancer on ${edge.host}`;
        return passes === isPublished(service, to, at) ? [] : [saidOf(from, to, at, passes)];
      }),
    );

const saidOf = (from: string, to: RunningGuest, { protocol, port }: ServicePort, passes: boolean): string =>
  `${from} ${passes ? 'reaches' : 'does not reach'} ${to.id} on ${to.router.host} by ${protocol} ${port}`;

function guestsOn(
  host: SimulatedHost,
  router: Router | undefined,
  records: Records,
): readonly RunningGuest[] {
  return [...host.domains.values()].flatMap(({ vmId, mac }) => {
    const vm = records.vm(vmId);
    return vm && router ? [{ id: vmId, ...partyOf(vm), address: vm.address, mac, router }] : [];
  });
}

const partyOf = ({ id, app, role }: VmRecord): Party => ({
  app,
  role,
  name: role ?? id.slice(app.length + 1),
});
