import type { EdgeReport } from '../../agent/protocol/index.ts';
import type { HostLink } from '../fleet/contract.ts';

interface SeenAt {
  readonly host: string;
  /** Absent: the host has said nothing of it. */
  readonly endpoint?: Pick<EdgeReport['endpoints'][number], 'state' | 'reason'> | undefined;
}

/** Why hosts do not serve an endpoint; those with one reason together: `h1, h2: …`. Pure. */
export function reasonsOf(
  seen: readonly SeenAt[],
  links: readonly Pick<HostLink, 'name' | 'connected'>[],
): readonly string[] {
  const connected = new Set(links.flatMap(({ name, connected }) => (connected ? name : [])));
  const hosts = new Map<string, string[]>();
  for (const { host, endpoint } of seen) {
    if (endpoint?.state === 'served') continue;
    const reason = endpoint?.reason ?? (connected.has(host) ? 'it has not said so yet' : 'not connected');
    hosts.set(reason, [...(hosts.get(reason) ?? []), host]);
  }
  return [...hosts].map(([reason, names]) => `${names.join(', ')}: ${reason}`);
}
