import { z } from 'zod';
import { WeftError } from '../../agent/kit/errors.ts';
import type { ApplicationRecord, HostRecord, NetworkRecord, VmRecord } from '../model/records.ts';
import { counterQuestions } from '../network/counter-questions.ts';
import { servedNow, servingOf } from '../network/served-now.ts';
import { networkView } from '../network/view.ts';
import { whyOf } from '../network/why.ts';
import type { NetworkWorld } from '../reconciler/network-world.ts';
import type { ApiContext } from './context.ts';
import { edgeFigures } from './edge-figures.ts';
import { endpointsNow } from './endpoints-now.ts';
import { networkAnswer, whyAnswer } from './network-answers.ts';
import { countersOf } from './rule-counters.ts';
import { appParams } from './schemas.ts';
import type { Api } from './server.ts';

const end = z.string().min(1).max(128);
const question = z.object({
  from: end,
  to: end,
  port: z.coerce.number().int().min(1).max(65_535),
  protocol: z.enum(['tcp', 'udp']).default('tcp'),
});

/** The network of applications as it is declared: what `weft net` shows. */
export function networkRoutes(api: Api, context: ApiContext): void {
  api.get(
    '/v1/applications/:app/network',
    {
      schema: {
        description: 'An application’s subnets, what passes between them, what is published, and its names.',
        params: appParams,
        response: { 200: networkAnswer },
      },
    },
    async ({ params }) => {
      const view = networkView(params.app, await worldOf(context));
      if (view) return { ...view };
      throw new WeftError('not-found', `there is no application ${params.app}`, { remedy: 'See: weft ls' });
    },
  );
  api.get(
    '/v1/network/why',
    {
      schema: {
        description:
          'Whether a connection passes, by which declaration, and on which hosts that is decided, with how load balancers serve it now, and what they and rules have counted. Ends: world, an address, app/role, or the id of an instance or a machine.',
        querystring: question,
        response: { 200: whyAnswer },
      },
    },
    async ({ query }) => {
      const world = await worldOf(context);
      const answer = whyOf(query, world);
      const application = world.applications.get(answer.rule?.split('/')[0] ?? '');
      const endpoints = application ? await endpointsNow(context, application) : [];
      const served = servingOf(answer, endpoints);
      const { fleet, clock } = context;
      return {
        ...answer,
        now: servedNow(answer, endpoints),
        edges: served ? edgeFigures(served.id, [...world.hosts.values()], fleet.hosts()) : [],
        counters: await countersOf(counterQuestions(answer, world), query.protocol, fleet, clock),
      };
    },
  );
}

async function worldOf({ store, fleetRecord }: ApiContext): Promise<NetworkWorld> {
  const all = async <T>(prefix: string): Promise<ReadonlyMap<string, T>> => {
    const { entries } = await store.list(prefix);
    return new Map(entries.map(({ key, value }) => [key.slice(prefix.length), value as T]));
  };
  const [applications, networks, hosts, vms] = await Promise.all([
    all<ApplicationRecord>('apps/'),
    all<NetworkRecord>('networks/'),
    all<HostRecord>('hosts/'),
    all<VmRecord>('vms/'),
  ]);
  return { fleet: fleetRecord(), applications, networks, hosts, vms };
}
