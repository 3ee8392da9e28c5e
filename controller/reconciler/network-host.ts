import type { HostRecord } from '../model/records.ts';
import { viewOf } from './listed-map.ts';

/** What of hosts' records is in what is made of all of them for each one's network: whatever else changes of a host, nothing of that does. */
export interface NetworkHost
  extends Pick<HostRecord, 'name' | 'state' | 'draining' | 'offer' | 'joinedAtMs'> {
  readonly number?: number | undefined;
  readonly collision?: HostRecord['collision'] | undefined;
  readonly encryption?: HostRecord['encryption'] | undefined;
}

function partOf(host: HostRecord): NetworkHost {
  const { name, state, draining, offer, joinedAtMs, number, collision, encryption } = host;
  return { name, state, draining, offer, joinedAtMs, number, collision, encryption };
}

export const networkHosts = (hosts: ReadonlyMap<string, HostRecord>): readonly NetworkHost[] =>
  viewOf(hosts, partOf);
