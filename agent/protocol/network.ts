import { z } from 'zod';
import { challenge, challengeToken, MAXIMUM_CHALLENGES } from './challenges.ts';
import { cidrv4, cidrv6, count, digest, ipAddress, ipv4, ipv6, mac, name, port } from './primitives.ts';
import { probe } from './probe.ts';

/** A public key of WireGuard: 32 bytes in base64, as `wg` writes them. */
export const wireguardKey = z.string().regex(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/);

/**
 * A router of the fleet: one host's place on the backbone, the one VXLAN that all hosts' routers share. What a guest sends to
 * another subnet, or to another host, goes from its host's router to that of the other.
 */
export const routerOf = z.object({
  host: name,
  /** On the underlay: where the others send VXLAN to. */
  underlay: ipAddress,
  /** On the backbone. */
  address: ipv4,
  address6: ipv6,
  mac,
  /** A load balancer runs there, whose connections come from the router's addresses. */
  edge: z.boolean(),
  /** What goes between it and this host is encrypted, to this key, and comes by no other way. Absent: it is not encrypted, or the controller is older. */
  publicKey: wireguardKey.optional(),
});
export type RouterOf = z.infer<typeof routerOf>;

/** What carries guests' traffic between hosts. */
export const backboneGoal = z.object({
  vni: z.number().int().min(1).max(16_777_215),
  /** UDP port of VXLAN. */
  port,
  /** Of guests' interfaces, bridges and VXLANs: the underlay's less what VXLAN adds. */
  mtu: z.number().int().min(1_280).max(65_000),
  /** Addresses of all the fleet's guests and routers. */
  range: cidrv4,
  range6: cidrv6,
  /** Addresses of the routers. */
  cidr: cidrv4,
  cidr6: cidrv6,
  /** Addresses and prefixes that no guest reaches, whatever is declared: hosts', the controller's, fence devices', public ones. Absent: the controller is older. */
  outOfReach: z.array(z.string().max(64)).optional(),
  /** WireGuard, below VXLAN: its UDP port, and its device's MTU. Absent: nothing of this host is encrypted. */
  tunnel: z.object({ port, mtu: z.number().int().min(1_280).max(65_535) }).optional(),
  self: routerOf,
  /** All others that this one exchanges packets with. */
  others: z.array(routerOf),
});
export type BackboneGoal = z.infer<typeof backboneGoal>;

/** A guest on another host that guests here may speak with, or that its load balancer serves: it is reached by that host's router only. */
export const guestRoute = z.object({ address: ipv4, address6: ipv6, host: name });
export type GuestRoute = z.infer<typeof guestRoute>;

/** What guests never reach but by a flow, or not at all, as a backbone's goal has it: of a host that is on none. */
const closedAddresses = z.object({
  range: cidrv4,
  range6: cidrv6,
  /** Hosts' addresses, the controller's, fence devices'. */
  outOfReach: z.array(z.string().max(64)),
});

/** Traffic that a declared endpoint lets through; answers are let through with it. */
export const flow = z.object({
  /** What declares it: `crm/web/admin`, `crm/web` of a mesh, or `crm/db/sql` of a machine. */
  id: z.string(),
  /** Ids of subnets; `edge`: load balancers. */
  from: z.array(z.string()),
  /** Id of a subnet. */
  to: z.string(),
  /** `any`: everything, of a mesh. */
  protocol: z.enum(['tcp', 'udp', 'any']),
  /** 0 with `any`. */
  port: z.number().int().min(0).max(65_535),
  /** Only this guest of it: an endpoint of a machine. Absent: all. */
  address: ipv4.optional(),
  address6: ipv6.optional(),
});
export type Flow = z.infer<typeof flow>;

const allowed = z.union([z.literal('all'), z.array(z.string())]);

/** What of the fleet's traffic passes this host's router. Everything else between subnets is dropped. */
export const routerGoal = z.object({
  /** Every subnet that a flow names. */
  subnets: z.array(z.object({ id: z.string(), cidr: cidrv4, cidr6: cidrv6 })),
  flows: z.array(flow),
  routes: z.array(guestRoute),
  /** Subnets of this host whose guests reach the world, translated: all of it, or these prefixes. */
  outbound: z.array(z.object({ subnet: z.string(), allow: allowed })),
  /**
   * Guests of this host that reach something else than others on their subnet, which is none of `outbound` then: an older agent, which
   * does not read this, lets none of it out. Absent: there are none, or the controller is older.
   */
  outboundByGuest: z
    .array(z.object({ subnet: z.string(), address: ipv4, address6: ipv6, allow: allowed }))
    .optional(),
  /** Absent: the host has a place on the backbone, whose goal says the same, or the controller is older. */
  closed: closedAddresses.optional(),
  /** Where guests' resolvers ask for the fleet's names. Absent: nobody serves them. */
  resolver: z
    .object({
      zone: z.string(),
      /** Routers of the hosts that serve it, in the order to be asked. */ servers: z.array(ipv4),
    })
    .optional(),
});
export type RouterGoal = z.infer<typeof routerGoal>;

/** An address that edge hosts share: one of them has it at a time. */
export const sharedAddress = z.object({
  address: ipAddress,
  prefix: z.number().int().min(1).max(128),
  /** Of IPv6: it is where the other one is. Absent: there is none. */
  address6: z.object({ address: ipv6, prefix: z.number().int().min(1).max(128) }).optional(),
  /** VRRP's virtual router. */
  routerId: z.number().int().min(1).max(255),
  priority: z.number().int().min(1).max(254),
  /** Underlay addresses of the other edge hosts. */
  peers: z.array(ipAddress),
});
export type SharedAddress = z.infer<typeof sharedAddress>;

/** One instance behind a load balancer. */
export const backend = z.object({
  /** `web-0.3`: instance and incarnation. */
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,95}$/),
  address: ipv4,
  port,
  /** `draining`: it gets no new connection. */
  state: z.enum(['ready', 'draining']),
  /** It was made to be told the client's address, or not to be, other than its endpoint says now. Absent, or to an older agent: as that says. */
  proxyProtocol: z.boolean().optional(),
});
export type Backend = z.infer<typeof backend>;

/** Of one client at one endpoint of a load balancer, by its IPv4 address or the /64 of its IPv6 address. What is absent is not limited. */
export const clientLimit = z.object({
  /** Open at once. */
  connections: count.optional(),
  /** That begin in a second, on average: requests of http, connections of tcp. */
  rate: count.optional(),
});
export type ClientLimit = z.infer<typeof clientLimit>;

/** An input endpoint, as an edge host serves it. */
export const publishedEndpoint = z.object({
  /** `crm/web/http`; `crm/web/http/2` of the third instance, where each has a port of its own. */
  id: z
    .string()
    .regex(/^[a-z0-9-]+(\/[a-z0-9-]+){1,3}$/)
    .max(128),
  /** Where it listens: shared addresses, or the host's own on the underlay where there are none. */
  addresses: z.array(ipAddress).min(1),
  port,
  protocol: z.enum(['tcp', 'http']),
  /** Name of a certificate: TLS ends here. It is one of the goal's, or in the host's own folder. */
  certificate: name.optional(),
  /** Backends are told the client's address by the PROXY protocol, version 2. */
  proxyProtocol: z.boolean(),
  /** How long open connections are waited for when this host serves nothing any more. Absent: 30 s. */
  drainMs: z.number().int().min(0).max(3_600_000).optional(),
  /** Absent: clients are not limited. An agent that is older limits none. */
  limit: clientLimit.optional(),
  /** How the load balancer itself looks whether a backend answers, by http or tcp. Absent: by a connection. */
  probe: probe.optional(),
  backends: z.array(backend),
});
export type PublishedEndpoint = z.infer<typeof publishedEndpoint>;

/** A certificate with its key, by the digest of the file that has both: what is secret is in no goal. */
export const wantedCertificate = z.object({ name, digest });
export type WantedCertificate = z.infer<typeof wantedCertificate>;

/** One that an edge host serves. `problem`: why it is not the one that is there now, which is bad or gone. Absent: it is, or the agent is older. */
export const servedCertificate = wantedCertificate.extend({ problem: z.string().max(1024).optional() });
export type ServedCertificate = z.infer<typeof servedCertificate>;

/** Of all applications together: an edge host tells of so many at most, and a controller takes no report of more. */
export const MOST_ENDPOINTS = 4_096;
/** Of one endpoint, told by an edge host. */
export const MOST_BACKENDS = 10_000;

/** What an edge host serves to the world. */
export const edgeGoal = z.object({
  addresses: z.array(sharedAddress),
  endpoints: z.array(publishedEndpoint),
  /** Certificates that the controller keeps, of those that the endpoints name; what is in them, keys too, is fetched by `digest`. Absent: none. */
  certificates: z.array(wantedCertificate).optional(),
  /** What is answered where ACME servers come to by HTTP-01. Absent: nothing. */
  challenges: z.array(challenge).max(MAXIMUM_CHALLENGES).optional(),
});
export type EdgeGoal = z.infer<typeof edgeGoal>;

/** The zone, as an edge host's name server has it. */
export const namesGoal = z.object({
  /** `weft.internal`. */
  zone: z.string().regex(/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/),
  ttlSeconds: z.number().int().min(1).max(86_400),
  /** Names relative to the zone. `data` as in a zone file; of SRV the target is relative to the zone too. */
  records: z.array(
    z.object({
      name: z.string().regex(/^[a-z0-9_]([a-z0-9_.-]{0,240}[a-z0-9])?$/),
      type: z.enum(['A', 'AAAA', 'SRV']),
      data: z.string().max(300),
    }),
  ),
});
export type NamesGoal = z.infer<typeof namesGoal>;

/** How an edge host serves what it is to. */
export const edgeReport = z.object({
  endpoints: z
    .array(
      z.object({
        id: z.string().max(128),
        state: z.enum(['served', 'failed']),
        /** Why not: a port that is taken, a certificate that does not match its key. */
        reason: z.string().max(1024).optional(),
        /** Over all reloads of the load balancer, since this agent began, or the worker that it found then. */
        connections: count,
        bytesIn: count,
        bytesOut: count,
        /** Connections and requests that were over a client's limit, likewise. Absent: none, or the agent is older. */
        denied: count.optional(),
        /** Connections and requests that came to no backend, likewise. Absent: the agent is older. */
        failed: count.optional(),
        backends: z
          .array(
            z.object({
              name: z.string().max(96),
              state: z.enum(['up', 'down', 'draining']),
              /** Open now. */
              sessions: count,
            }),
          )
          .max(MOST_BACKENDS),
      }),
    )
    .max(MOST_ENDPOINTS),
  /** Challenges that its load balancer answers now. Absent: none, or the agent is older. */
  challenges: z.array(challengeToken).max(MAXIMUM_CHALLENGES).optional(),
  /** Certificates that its load balancer ends TLS with now, by the digests of their files, whoever has put them there. Absent: the agent is older. */
  certificates: z.array(servedCertificate).max(MOST_ENDPOINTS).optional(),
  /** Shared addresses that this host has now. */
  held: z.array(ipAddress).max(512),
  /** The name server answers, with the goal's records. Absent: it has none to serve. */
  names: z
    .object({
      state: z.enum(['served', 'failed']),
      reason: z.string().max(1024).optional(),
      /** Of the zone that all its addresses answer with. Absent: it failed, or the agent is older. */
      serial: count.optional(),
      /** Of the records in that zone, as `digestOfNames` makes it. */
      digest: digest.optional(),
    })
    .optional(),
  /** What this host lacks to be one: programs that are not installed. */
  missing: z.array(z.string().max(64)).max(8),
});
export type EdgeReport = z.infer<typeof edgeReport>;

/** Where other hosts reach this one, and what its links carry. */
export const underlayOffer = z.object({
  address: ipAddress,
  mtu: z.number().int().min(576).max(65_535),
  /** Prefixes of the host's own links, but for those that lie in another: no range of the fleet's may overlap one. Of very many, those that matter most. */
  networks: z.array(z.string().max(64)).max(64),
  /** Addresses that no guest of the fleet may reach: the host's, its controller's and its fence devices'. Absent: its agent is older. */
  own: z.array(ipAddress).max(1_024).optional(),
  /** Those of its networks that its guests never reach: libvirt's own. */
  closed: z.array(z.string().max(64)).max(64).optional(),
  /**
   * By which key the others encrypt what they send here; null with the problem why it cannot be. With both, it is to be encrypted, and does not
   * go for now. Absent: its agent is older.
   */
  encryption: z
    .object({ publicKey: wireguardKey.nullable(), problem: z.string().max(1_024).nullable() })
    .optional(),
});
export type UnderlayOffer = z.infer<typeof underlayOffer>;
