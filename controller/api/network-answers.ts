import { z } from 'zod';
import { ruleCounters } from '../../agent/protocol/index.ts';
import { listOf } from './schemas.ts';

/** What the network's resources answer. What is not described here does not go out. */

const protocol = z.enum(['tcp', 'udp']);
const texts = listOf(z.string());
const outbound = z
  .union([z.literal('all'), texts])
  .describe('What of the world is reached: all of it, or these prefixes alone.');

const guest = z.object({
  id: z.string(),
  role: z.string().nullish().describe('Null: a machine.'),
  address: z.string().describe('Empty: it has no place yet.'),
  address6: z.string().nullable(),
  host: z.string().nullable(),
  state: z.string(),
  name: z.string().describe('In full; it answers while the guest has a place and somebody serves names.'),
});

const subnet = z.object({
  id: z.string(),
  cidr: z.string().nullable().describe('Null: nothing of it was ever placed.'),
  cidr6: z.string().nullable(),
  mesh: z.boolean(),
  outbound,
  guests: listOf(guest.extend({ outbound: outbound.optional() })),
});

const flow = z.object({
  id: z.string().describe('The endpoint that declares it; of a mesh, the subnet.'),
  from: texts.describe('Ids of subnets; edge: load balancers.'),
  to: z.string(),
  protocol: z.enum(['tcp', 'udp', 'any']),
  port: z.number(),
  guest: z.string().optional().describe('The one guest that it goes to. Absent: all of the subnet.'),
});

const published = z.object({
  id: z.string(),
  type: z.enum(['input', 'instance']),
  protocol: z.string(),
  port: z.number().describe('Of type instance: that of the instance with index 0.'),
  targetPort: z.number(),
  addresses: texts.describe('Its public ones; where it has none, those of the edge hosts.'),
});

const encryption = z.object({
  mode: z.enum(['off', 'prefer', 'require']),
  exceptions: listOf(
    z.object({
      host: z.string(),
      state: z.enum(['encrypted', 'broken', 'open', 'alone', 'untold']),
      problem: z.string(),
    }),
  ),
});

export const networkAnswer = z.object({
  app: z.string(),
  deleting: z.boolean().optional().describe('All of it goes, as soon as it can.'),
  zone: z.string(),
  subnets: listOf(subnet),
  flows: listOf(flow).describe('What passes; all else is dropped.'),
  published: listOf(published),
  edgeHosts: texts,
  encryption,
  names: listOf(z.object({ name: z.string(), type: z.string(), data: z.string() })),
});

const hostCounters = z.union([
  ruleCounters.extend({ host: z.string() }),
  z.object({ host: z.string(), problem: z.string().describe('Why it is not known.') }),
]);

const edgeFigures = z.union([
  z.object({
    host: z.string(),
    endpoint: z.string().describe('Of instances that have one each, with the index behind it.'),
    connections: z.number().describe('From clients, since its agent or its load balancer began.'),
    sessions: z.number().describe('With backends, open now.'),
    bytesIn: z.number().describe('From clients.'),
    bytesOut: z.number().describe('To clients.'),
    denied: z.number().optional().describe('Over the limit of their client. Absent: there is no limit.'),
    failed: z.number().optional().describe('Came to no backend. Absent: its agent is older.'),
  }),
  z.object({ host: z.string(), problem: z.string().describe('Why it is not known.') }),
]);

export const whyAnswer = z.object({
  question: z.object({ from: z.string(), to: z.string(), port: z.number(), protocol }),
  allowed: z.boolean(),
  rule: z.string().nullable().describe('What declares it; null: nothing does.'),
  reason: z.string(),
  now: z
    .string()
    .nullish()
    .describe('How load balancers serve it at this moment; null: it leads through none.'),
  hosts: texts.describe('Those whose routers decide, or edge hosts.'),
  from: listOf(guest),
  to: listOf(guest),
  edges: listOf(edgeFigures).describe('What load balancers have counted of the endpoint, on each edge host.'),
  counters: listOf(hostCounters).describe('What rules have counted, on each host.'),
});
