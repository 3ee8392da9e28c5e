import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { ApplicationRecord, HostRecord, VmRecord } from '../model/records.ts';
import { placesPart, publishesTogether } from './edge-endpoints.ts';
import { namedPart } from './name-records.ts';
import { namesPart } from './names-goals.ts';
import type { Kind } from './world.ts';
import type { WorldCache } from './world-cache.ts';

/** What of a record is in the zone; null: nothing. */
const IN_ZONE: { readonly [K in Kind]?: (record: never, cache: WorldCache) => unknown } = {
  vms: (record: VmRecord, cache) => namedPart(record, cache.records('applications').get(record.app)),
  applications: (application: ApplicationRecord) => [
    placesPart(application),
    publishesTogether(application),
    ...[application.service.roles, application.service.machines].map((owners) =>
      Object.entries<{ readonly endpoints?: unknown }>(owners).map(([name, { endpoints }]) => [
        name,
        endpoints,
      ]),
    ),
  ],
};

/** Hosts that serve another zone after these changes, or whose guests ask others for it. */
export function hostsOfNames(changes: ReturnType<WorldCache['apply']>, cache: WorldCache): readonly string[] {
  const differs = (kind: Kind, part: (record: never, cache: WorldCache) => unknown) =>
    changes.some((change) => {
      const of = (record: unknown) => (record === undefined ? null : part(record as never, cache));
      return change.kind === kind && !isSameDocument(of(change.before), of(change.after));
    });
  const hosts = cache.records('hosts');
  if (differs('hosts', (host: HostRecord) => namesPart(host))) return [...hosts.keys()];
  const changed = Object.entries(IN_ZONE).some(([kind, part]) => differs(kind as Kind, part));
  // Whether one is chosen to serve it depends on the others; whose goal turns out to be the same is sent nothing.
  return changed ? [...hosts.values()].flatMap(({ name, offer }) => (offer?.edge ? [name] : [])) : [];
}
