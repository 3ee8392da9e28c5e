import { numberOf, parseRange } from '../../../../agent/kit/addressing.ts';
import type { RouterPart } from '../../../../agent/network/router-part.ts';
import type { Flow } from '../../../../agent/protocol/index.ts';

/** A connection as routers see it. */
export interface Connection {
  readonly from: string;
  readonly to: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

/** What a host's router does by what it was told last, without a kernel: tables and links are made of the same. */
export class Router {
  readonly host: string;
  readonly #part: RouterPart;
  /** Guests' addresses → subnets' ids. */
  readonly #guests: ReadonlyMap<string, string>;
  /** Guests' addresses → hosts that they are behind. */
  readonly #routes: ReadonlyMap<string, string>;
  /** Other routers' hosts → where they are on the underlay. */
  readonly #others: ReadonlyMap<string, string>;
  readonly #edges: ReadonlySet<string>;
  readonly #subnets: ReadonlyMap<string, string>;
  /** Addresses → ids of the subnets that they are in, as far as somebody has asked. */
  readonly #known = new Map<string, ReadonlySet<string>>();
  /** Of subnets of which all guests reach each other: addresses of those elsewhere → their hosts. */
  readonly #meshes: ReadonlyMap<string, ReadonlyMap<string, string>>;

  constructor(host: string, part: RouterPart) {
    const { networks, router, backbone } = part;
    this.host = host;
    this.#part = part;
    this.#guests = new Map(networks.flatMap(({ id, leases }) => leases.map(({ address }) => [address, id])));
    this.#routes = new Map((router?.routes ?? []).map(({ address, host: there }) => [address, there]));
    this.#others = new Map((backbone?.others ?? []).map((other) => [other.host, other.underlay]));
    this.#edges = new Set((backbone?.others ?? []).flatMap((other) => (other.edge ? [other.host] : [])));
    this.#subnets = new Map((router?.subnets ?? []).map(({ id, cidr }) => [id, cidr]));
    this.#meshes = new Map(
      networks.flatMap(({ id, mesh }) =>
        mesh ? [[id, new Map(mesh.peers.map(({ address, host: there }) => [address, there]))] as const] : [],
      ),
    );
  }

  /** Whether what a guest here sends gets to a guest that is on this host, or on that of another router, and an answer back. */
  passes(connection: Connection, there: Router): boolean {
    const { from, to } = connection;
    const subnet = this.#guests.get(from);
    if (subnet === undefined || there.#guests.get(to) === undefined) return false;
    const isSame = subnet === there.#guests.get(to);
    if (isSame && this.#meshes.has(subnet) && there.#meshes.has(subnet))
      return there === this || (this.#meets(subnet, to, there) && there.#meets(subnet, from, this));
    // Between guests of one subnet the router answers only where an endpoint of one of them asks for it.
    if (isSame && !this.#isShared(subnet)) return false;
    if (there === this) return this.#lets(connection);
    return (
      this.#leads(to, there) && there.#leads(from, this) && this.#lets(connection) && there.#lets(connection)
    );
  }

  /** Whether what this host's load balancer sends gets to a guest on another one. */
  passesFromEdge({ to, protocol, port }: Omit<Connection, 'from'>, there: Router): boolean {
    if (!there.#guests.has(to) || !this.#leads(to, there)) return false;
    if (!there.#knows(this) || !there.#edges.has(this.host)) return false;
    return there.#flows.some(
      (flow) => flow.from.includes('edge') && there.#isTo(flow, to) && isService(flow, protocol, port),
    );
  }

  get #flows(): readonly Flow[] {
    return this.#part.router?.flows ?? [];
  }

  /** It sends to where the other one is, and takes what comes from there. */
  #knows(there: Router): boolean {
    const { backbone } = there.#part;
    return backbone !== undefined && this.#others.get(there.host) === backbone.self.underlay;
  }

  #meets(subnet: string, address: string, there: Router): boolean {
    return this.#knows(there) && this.#meshes.get(subnet)?.get(address) === there.host;
  }

  #leads(address: string, there: Router): boolean {
    return this.#knows(there) && this.#routes.get(address) === there.host;
  }

  #isShared(subnet: string): boolean {
    return this.#flows.some(
      ({ from, to, protocol }) => protocol !== 'any' && to === subnet && from.includes(subnet),
    );
  }

  #lets({ from, to, protocol, port }: Connection): boolean {
    return this.#flows.some(
      (flow) =>
        isService(flow, protocol, port) &&
        this.#isTo(flow, to) &&
        flow.from.some((origin) => this.#isIn(origin, from)),
    );
  }

  #isTo(flow: Flow, address: string): boolean {
    return flow.address === undefined ? this.#isIn(flow.to, address) : flow.address === address;
  }

  #isIn(subnet: string, address: string): boolean {
    const known = this.#known.get(address) ?? new Set(this.#subnetsWith(address));
    this.#known.set(address, known);
    return known.has(subnet);
  }

  #subnetsWith(address: string): readonly string[] {
    const at = numberOf(address);
    return [...this.#subnets].flatMap(([id, cidr]) => {
      const { base, size } = parseRange(cidr);
      return at >= base && at < base + size ? [id] : [];
    });
  }
}

const isService = (flow: Flow, protocol: string, port: number): boolean =>
  flow.protocol === 'any' || (flow.protocol === protocol && flow.port === port);
