import { Registry } from 'prom-client';
import type { CertificateRecord, HostRecord } from '../model/records.ts';
import { measureCertificates } from './certificate-metrics.ts';
import type { ApiContext } from './context.ts';
import { measureEndpoints } from './endpoint-metrics.ts';
import { measureHostNetworks } from './host-network-metrics.ts';
import type { Api } from './server.ts';

/** What monitoring reads; with a token, as everything is. Made anew at each request: nothing is counted here. */
export function metricsRoutes(api: Api, { store, fleet }: ApiContext): void {
  api.get(
    '/metrics',
    {
      schema: {
        description:
          'Figures in Prometheus’ text format: of each published endpoint on each edge host, sessions, connections, bytes and backends; of each certificate, when it ends; of each host, how full its table of connections is, and how much is wrong with its guests’ network.',
      },
    },
    async (_request, reply) => {
      const [{ entries }, certificates] = await Promise.all([
        store.list('hosts/'),
        store.list('certificates/'),
      ]);
      const registry = new Registry();
      measureEndpoints(
        registry,
        entries.map(({ value }) => value as HostRecord),
        fleet.hosts(),
      );
      measureHostNetworks(registry, fleet.hosts());
      measureCertificates(
        registry,
        certificates.entries.map(({ value }) => value as CertificateRecord),
      );
      return reply.type(registry.contentType).send(await registry.metrics());
    },
  );
}
