import type { Report } from '../../../agent/protocol/index.ts';
import type { NameServerFault } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { telling } from '../live-hosts.ts';
import type { LiveHost } from '../world.ts';

/** What an edge host says of its name server: what is wrong with it, or null. Undefined: nothing, as while its agent has just begun. */
export function nameServerFault(report: Report | null | undefined): NameServerFault | null | undefined {
  const { names, missing = [] } = report?.edge ?? {};
  if (names === undefined) return undefined;
  if (names.state === 'served') return null;
  return missing.length > 0 ? 'absent' : 'failed';
}

/** Which edge hosts serve no names, as they say: guests are led to others. What a host said last holds while it is silent. */
export function followNameServers(draft: Draft): void {
  const { live } = draft.world;
  for (const name of telling(live, tellsOfNames)) {
    const fault = nameServerFault(live.get(name)?.report);
    const host = draft.get('hosts', name);
    if (fault === undefined || !host || (host.nameServer ?? null) === fault) continue;
    draft.put('hosts', name, { ...host, nameServer: fault });
  }
}

const tellsOfNames = ({ connected, report }: LiveHost): boolean =>
  connected && nameServerFault(report) !== undefined;
