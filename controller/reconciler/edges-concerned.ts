import { isSameDocument } from '../../agent/kit/same-document.ts';
import type {
  ApplicationRecord,
  CertificateRecord,
  ChallengeRecord,
  HostRecord,
  VmRecord,
} from '../model/records.ts';
import { endpointsOfVm, placesPart, publishedBy, publishes } from './edge-endpoints.ts';
import { backendsOf, isEnding } from './edge-goals.ts';
import { edgePart } from './edge-hosts.ts';
import { asMade } from './former-endpoints.ts';
import type { WorldCache } from './world-cache.ts';

type Changed = ReturnType<WorldCache['apply']>;

/** Hosts that offer to serve the world, when what they serve may be something else after these changes, which are in the cache already. */
export function edgesConcerned(changes: Changed, cache: WorldCache): readonly string[] {
  if (!changes.some((change) => concernsEdges(change, cache))) return [];
  return [...cache.records('hosts').values()].filter(({ offer }) => offer?.edge).map(({ name }) => name);
}

function concernsEdges({ kind, before, after }: Changed[number], cache: WorldCache): boolean {
  const part = (record: unknown) => (record === undefined ? null : partOf(kind, record, cache));
  return !isSameDocument(part(before), part(after));
}

/** What of a record is in the goals of edge hosts. */
function partOf(kind: Changed[number]['kind'], record: unknown, cache: WorldCache): unknown {
  if (kind === 'hosts') return hostPart(record as HostRecord);
  if (kind === 'applications') return applicationPart(record as ApplicationRecord);
  if (kind === 'vms') return vmPart(record as VmRecord, cache);
  if (kind === 'certificates') return (record as CertificateRecord).kept?.digest;
  if (kind === 'challenges') return (record as ChallengeRecord).authorization;
  return null;
}

const hostPart = (host: HostRecord): unknown =>
  host.offer?.edge ? [edgePart(host), host.offer.underlay?.address] : null;

const applicationPart = (application: ApplicationRecord): unknown =>
  publishes(application) ? [application.deleting, placesPart(application), publishedBy(application)] : null;

function vmPart(vm: VmRecord, cache: WorldCache): unknown {
  const application = cache.records('applications').get(vm.app);
  const backends = endpointsOfVm(application, vm).map(({ name, endpoint }) =>
    backendsOf(vm, (definition) => asMade(application, { role: vm.role, definition }, name, endpoint)),
  );
  // One that is deleted is served until the last of its VMs has ended, published or not.
  return [backends, application?.deleting ? isEnding(vm) : null];
}
