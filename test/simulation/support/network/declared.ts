import type { Endpoint, Service } from '../../../../controller/model/service.ts';

/** One that connections come from, or go to: an instance of a role, or a machine. */
export interface Party {
  readonly app: string;
  readonly role: string | null;
  /** Of a machine; of an instance, its role's. */
  readonly name: string;
}

/** A port by a protocol, as a guest listens. */
export interface ServicePort {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

const subnetOf = ({ role, name }: Party, { machines }: Service): string =>
  role ?? machines[name]?.network ?? 'machines';

const endpointsOf = ({ role, name }: Party, { roles, machines }: Service): readonly Endpoint[] =>
  Object.values((role === null ? machines[name]?.endpoints : roles[role]?.endpoints) ?? {});

const isAt = ({ protocol, targetPort }: Endpoint, at: ServicePort): boolean =>
  targetPort === at.port && (protocol === 'udp') === (at.protocol === 'udp');

/**
 * Whether the model lets one speak with another, as the documentation says it (`docs/network.md`, "What is let through"): nothing of what
 * makes goals is used for it.
 */
export function isDeclared(service: Service, from: Party, to: Party, at: ServicePort): boolean {
  if (from.app !== to.app) return false;
  if (from.role !== null && from.role === to.role) return service.roles[from.role]?.mesh === true;
  const origin = subnetOf(from, service);
  return endpointsOf(to, service).some(
    (endpoint) =>
      endpoint.type === 'internal' &&
      isAt(endpoint, at) &&
      (endpoint.from.length === 0 || endpoint.from.includes(origin)),
  );
}

/** Whether a load balancer may come in. */
export const isPublished = (service: Service, to: Party, at: ServicePort): boolean =>
  endpointsOf(to, service).some((endpoint) => endpoint.type !== 'internal' && isAt(endpoint, at));

/** Every port that something declares, and some that nothing does. */
export function portsOf({ roles, machines }: Service): readonly ServicePort[] {
  const all = [...Object.values(roles), ...Object.values(machines)].flatMap(({ endpoints = {} }) =>
    Object.values(endpoints).flatMap(({ targetPort: port }) => [
      { protocol: 'tcp' as const, port },
      { protocol: 'udp' as const, port },
    ]),
  );
  const ports = [...all, { protocol: 'tcp' as const, port: 1 }, { protocol: 'udp' as const, port: 1 }];
  return [...new Map(ports.map((each) => [`${each.protocol} ${each.port}`, each])).values()];
}
