import { Gauge, type Registry } from 'prom-client';
import type { HostLink } from '../fleet/contract.ts';

/** Of each connected host, how full its table of connections is, and how much is wrong with its guests' network. */
export function measureHostNetworks(
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
  const problems = gauge('weft_host_network_problems', 'What is wrong with guests’ network on a host');
  for (const { name: host, connected, report } of links) {
    if (!connected || !report) continue;
    problems.set({ host }, report.networkProblems?.length ?? 0);
    const seen = report.metrics?.connections;
    if (!seen) continue;
    count.set({ host }, seen.count);
    max.set({ host }, seen.max);
    barred.set({ host }, seen.barred.length);
  }
}
