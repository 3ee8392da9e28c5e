import { clashOf, type PublicPorts, portsText, publicPorts } from './public-ports.ts';
import type { ApplicationDocument, EndpointDocument } from './schema.ts';
import { nearest } from './suggest.ts';
import { parseDurationMs } from './units.ts';

export type AddProblem = (
  path: readonly PropertyKey[],
  of: 'key' | 'value',
  message: string,
  fix?: string | null,
) => void;

type At = (...rest: PropertyKey[]) => readonly PropertyKey[];

/** Machines that name no network share one under this name; no role may be called so. */
export const MACHINES = 'machines';

const LAST_PORT = 65_535;
const LONGEST_DRAIN_MS = 3_600_000;

/** What the application's network cannot be made from. */
export function checkNetwork(document: ApplicationDocument, add: AddProblem): void {
  const roles = Object.entries(document.roles ?? {});
  const machines = Object.entries(document.machines ?? {});
  const networks = new Set(machines.map(([, { network = MACHINES }]) => network));
  const places = new Set([...roles.map(([name]) => name), ...networks]);
  for (const [name, { endpoints = {}, instances }] of roles)
    for (const [endpointName, endpoint] of Object.entries(endpoints)) {
      const at: At = (...rest) => ['roles', name, 'endpoints', endpointName, ...rest];
      checkEndpoint(endpoint, at, add);
      checkFrom(endpoint, name, places, at, add);
      const last = endpoint.port + instances - 1;
      if (endpoint.type === 'instance' && last > LAST_PORT)
        add(
          at('port'),
          'value',
          `${instances} instances need the ports ${endpoint.port} to ${last}, and the last port is ${LAST_PORT}`,
          `Use ${LAST_PORT - instances + 1} or less.`,
        );
    }
  for (const [name, machine] of machines) checkMachine(name, machine, places, document, add);
  checkPublicPorts(document, add);
}

function checkMachine(
  name: string,
  machine: NonNullable<ApplicationDocument['machines']>[string],
  places: ReadonlySet<string>,
  document: ApplicationDocument,
  add: AddProblem,
): void {
  const { network = MACHINES, endpoints = {} } = machine;
  if (machine.network !== undefined && Object.hasOwn(document.roles ?? {}, network))
    add(
      ['machines', name, 'network'],
      'value',
      `${network} is the network of the role ${network}`,
      'Choose another name.',
    );
  for (const [endpointName, endpoint] of Object.entries(endpoints)) {
    const at: At = (...rest) => ['machines', name, 'endpoints', endpointName, ...rest];
    checkEndpoint(endpoint, at, add);
    checkFrom(endpoint, null, places, at, add);
    if (endpoint.type === 'instance')
      add(at('type'), 'value', 'instance is for roles: there is one machine of a name', 'Make it input.');
    if (endpoint.probe?.exec !== undefined)
      add(at('probe', 'exec'), 'key', 'nothing is run in a machine', 'Use http or tcp.');
  }
  if (machine.public === true && !Object.values(endpoints).some(({ type }) => type === 'input'))
    add(
      ['machines', name, 'public'],
      'key',
      'a public machine needs an endpoint of type input',
      'Declare one, or remove public.',
    );
}

function checkEndpoint(endpoint: EndpointDocument, at: At, add: AddProblem): void {
  const { type, protocol, probe, port, targetPort = port } = endpoint;
  if (type === 'internal' && targetPort !== port)
    add(
      at('targetPort'),
      'value',
      `guests reach an internal endpoint where it listens, and nothing leads from port ${port} to ${targetPort}`,
      `Make its port ${targetPort}, and leave targetPort out.`,
    );
  if (type === 'internal')
    for (const key of ['certificate', 'proxyProtocol', 'limit', 'drain'] as const)
      if (endpoint[key] !== undefined)
        add(
          at(key),
          'key',
          `${key} is for endpoints at the load balancer`,
          'Remove it, or make the endpoint input.',
        );
  if (type !== 'internal' && endpoint.from)
    add(at('from'), 'key', 'from is for internal endpoints', 'Remove it, or make the endpoint internal.');
  if (protocol === 'udp' && type !== 'internal')
    add(
      at('protocol'),
      'value',
      `the load balancer does not carry udp, so an endpoint of type ${type} cannot have it`,
      'Use tcp or http, or make the endpoint internal.',
    );
  if (protocol === 'udp' && (probe?.http !== undefined || probe?.tcp !== undefined))
    add(at('probe'), 'key', 'udp is not probed by http or tcp', 'Use exec, or remove the probe.');
  const drainMs = endpoint.drain === undefined ? 0 : (parseDurationMs(endpoint.drain) ?? 0);
  if (drainMs > LONGEST_DRAIN_MS) add(at('drain'), 'value', 'must be at most 1h');
  for (const key of ['interval', 'timeout'] as const) {
    const text = probe?.[key];
    if (text !== undefined && (parseDurationMs(text) ?? 0) < 100)
      add(at('probe', key), 'value', 'must be at least 100ms');
  }
}

/** @param own the endpoint's own role: its instances reach each other by `mesh` alone. Null: it is a machine's. */
function checkFrom(
  endpoint: EndpointDocument,
  own: string | null,
  places: ReadonlySet<string>,
  at: At,
  add: AddProblem,
): void {
  if (endpoint.type !== 'internal') return;
  for (const [index, other] of (endpoint.from ?? []).entries()) {
    if (other === own)
      add(
        at('from', index),
        'value',
        `${own} is this endpoint's own: instances of one role reach each other by mesh alone`,
        'Remove it, and give the role mesh: true.',
      );
    if (places.has(other)) continue;
    const meant = nearest(other, [...places]);
    add(
      at('from', index),
      'value',
      `there is no role ${JSON.stringify(other)}, and no network of machines of that name`,
      meant === null ? `Known here: ${[...places].join(', ')}.` : `Did you mean ${meant}?`,
    );
  }
}

function checkPublicPorts(document: ApplicationDocument, add: AddProblem): void {
  /** Machine with an address of its own → its ports; empty: all others of the application. */
  const places = new Map<string, PublicPorts[]>();
  for (const ports of publicPorts(document)) {
    const place = ports.isApart ? (ports.path[1] ?? '') : '';
    const before = places.get(place) ?? [];
    places.set(place, before);
    const clash = clashOf(ports, before);
    if (clash)
      add(
        [...ports.path, 'port'],
        'value',
        `${ports.endpoint} and ${clash.other.endpoint} both want the public port ${clash.port}`,
        `Choose another one: ${clash.other.endpoint} has ${portsText(clash.other)}.`,
      );
    before.push(ports);
  }
}
