/** Ports at a load balancer that an endpoint takes. */
export interface PublicPorts {
  /** `web/http`, or `db/sql` of a machine. */
  readonly endpoint: string;
  readonly first: number;
  readonly last: number;
  /** Of a machine that has a public address of its own, where there are any. */
  readonly isApart: boolean;
  /** Where it is declared. */
  readonly path: readonly string[];
}

type Endpoints = Readonly<Record<string, { readonly type: string; readonly port: number }>> | undefined;

/** A user's document, or a service. */
interface Declares {
  readonly roles?:
    | Readonly<Record<string, { readonly endpoints?: Endpoints; readonly instances: number }>>
    | undefined;
  readonly machines?:
    | Readonly<Record<string, { readonly endpoints?: Endpoints; readonly public?: boolean | undefined }>>
    | undefined;
}

/** Everything that an application publishes, as it is declared. */
export function publicPorts({ roles = {}, machines = {} }: Declares): readonly PublicPorts[] {
  const ports: PublicPorts[] = [];
  for (const [role, { endpoints = {}, instances }] of Object.entries(roles))
    for (const [name, { type, port }] of Object.entries(endpoints)) {
      if (type === 'internal') continue;
      const last = type === 'input' ? port : port + Math.max(1, instances) - 1;
      const path = ['roles', role, 'endpoints', name];
      ports.push({ endpoint: `${role}/${name}`, first: port, last, isApart: false, path });
    }
  for (const [machine, { endpoints = {}, public: isApart = false }] of Object.entries(machines))
    for (const [name, { type, port }] of Object.entries(endpoints)) {
      if (type === 'internal') continue;
      const path = ['machines', machine, 'endpoints', name];
      ports.push({ endpoint: `${machine}/${name}`, first: port, last: port, isApart, path });
    }
  return ports;
}

/** The first of `others` that has a port in common with one. */
export const clashOf = (
  one: PublicPorts,
  others: readonly PublicPorts[],
): { readonly other: PublicPorts; readonly port: number } | null => {
  const other = others.find(({ first, last }) => first <= one.last && one.first <= last);
  return other ? { other, port: Math.max(one.first, other.first) } : null;
};

export const portsText = ({ first, last }: Pick<PublicPorts, 'first' | 'last'>): string =>
  first === last ? `port ${first}` : `ports ${first} to ${last}`;
