import { formatPublicAddress, isInRange, parsePublicRange } from '../../model/public-ranges.ts';
import type { ApplicationRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { publishes } from '../edge-endpoints.ts';

/** VRRP counts virtual routers in a byte. */
const MOST_ROUTERS = 255;

type Public = NonNullable<ApplicationRecord['public']>;

/** Each application that publishes something has an address of the public ranges, for as long as it is there; where there is none left, none. */
export function followPublicAddresses(draft: Draft): void {
  const ranges = (draft.world.fleet.public ?? []).flatMap((text) => parsePublicRange(text) ?? []);
  const stays = ({ public: shared }: ApplicationRecord) =>
    Boolean(shared && ranges.some((range) => isInRange(range, shared.address)));
  for (const application of draft.all('applications')) {
    if (application.deleting) continue;
    const isWanted = ranges.length > 0 && publishes(application);
    if (isWanted ? stays(application) : !application.public) continue;
    const shared = isWanted ? freeAddress(draft, ranges) : null;
    if (!shared && !application.public) continue;
    const { public: _before, ...rest } = application;
    draft.put('applications', application.name, shared ? { ...rest, public: shared } : rest);
    draft.tell(
      'public-address',
      application.name,
      shared ? `it is reached at ${shared.address}` : 'it has no public address any more',
    );
  }
}

function freeAddress(
  draft: Draft,
  ranges: readonly NonNullable<ReturnType<typeof parsePublicRange>>[],
): Public | null {
  const taken = draft.all('applications').flatMap(({ public: shared }) => shared ?? []);
  const addresses = new Set(taken.map(({ address }) => address));
  const routers = new Set(taken.map(({ routerId }) => routerId));
  let routerId = 1;
  while (routers.has(routerId)) routerId++;
  if (routerId > MOST_ROUTERS) return null;
  for (const { first, last, prefix } of ranges)
    for (let value = first; value <= last; value++) {
      const address = formatPublicAddress(value);
      if (!addresses.has(address)) return { address, prefix, routerId };
    }
  return null;
}
