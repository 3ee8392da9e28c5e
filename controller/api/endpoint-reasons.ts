import type { EdgeReport } from '../../agent/protocol/index.ts';
import type { HostLink } from '../fleet/contract.ts';
import { hostsByReason } from '../model/hosts-by-reason.ts';

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
  const reasonAt = (host: string) => (connected.has(host) ? 'it has not said so yet' : 'not connected');
  const told = seen.flatMap(({ host, endpoint }) =>
    endpoint?.state === 'served' ? [] : [{ host, reason: endpoint?.reason ?? reasonAt(host) }],
  );
  return [...hostsByReason(told)].map(([reason, names]) => `${names.join(', ')}: ${reason}`);
}
