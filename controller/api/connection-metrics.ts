import { Gauge, type Registry } from 'prom-client';
import type { HostLink } from '../fleet/contract.ts';

/** How full each connected host's table of connections is. */
export function measureConnections(
  registry: Registry,
  links: readonly Pick<HostLink, 'name' | 'connected' | 'report'>[],
): void {
  const gauge = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ['host'], registers: [registry] });
  const count = gauge('weft_host_connections', 'Connections in the kernel’s table');
  const max = gauge('weft_host_connections_limit', 'Connections that the kernel’s table holds');
  const barred = gauge(
    'weft_host_guests_barred',
    'Guests that begin no connection because they crowd the table',
  );
  for (const { name: host, connected, report } of links) {
    const seen = report?.metrics?.connections;
    if (!connected || !seen) continue;
    count.set({ host }, seen.count);
    max.set({ host }, seen.max);
    barred.set({ host }, seen.barred.length);
  }
}
