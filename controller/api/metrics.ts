import { Registry } from 'prom-client';
import type { HostRecord } from '../model/records.ts';
import type { ApiContext } from './context.ts';
import { measureEndpoints } from './endpoint-metrics.ts';
import type { Api } from './server.ts';

/** What monitoring reads; with a token, as everything is. Made anew at each request: nothing is counted here. */
export function metricsRoutes(api: Api, { store, fleet }: ApiContext): void {
  api.get(
    '/metrics',
    {
      schema: {
        description:
          'Figures in Prometheus’ text format: of each published endpoint on each edge host, sessions, connections, bytes and backends.',
      },
    },
    async (_request, reply) => {
      const { entries } = await store.list('hosts/');
      const registry = new Registry();
      measureEndpoints(
        registry,
        entries.map(({ value }) => value as HostRecord),
        fleet.hosts(),
      );
      return reply.type(registry.contentType).send(await registry.metrics());
    },
  );
}
