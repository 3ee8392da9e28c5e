import { WeftError } from '../../agent/kit/errors.ts';
import { MOST_ENDPOINTS } from '../../agent/protocol/index.ts';
import type { ApplicationRecord, Service } from '../model/index.ts';
import { publicPorts } from '../model/public-ports.ts';
import type { Store } from '../store/contract.ts';

/** As load balancers count: of `instance`, one for each instance. */
const publishedBy = (service: Service | undefined): number =>
  service === undefined
    ? 0
    : publicPorts(service).reduce((sum, { first, last }) => sum + last - first + 1, 0);

/**
 * All edge hosts serve all that is published, and tell of it.
 * @throws WeftError `no-capacity`: with this service more would be published than edge hosts tell of. One that publishes no more than it did is not refused.
 */
export async function refuseTooManyEndpoints(store: Store, service: Service): Promise<void> {
  const own = publishedBy(service);
  if (own === 0) return;
  const applications = (await store.list('apps/')).entries.map(({ value }) => value as ApplicationRecord);
  const before = publishedBy(applications.find(({ name }) => name === service.name)?.service);
  const others = applications
    .filter(({ name }) => name !== service.name)
    .reduce((sum, application) => sum + publishedBy(application.service), 0);
  if (own <= before || own + others <= MOST_ENDPOINTS) return;
  throw new WeftError(
    'no-capacity',
    `${service.name} publishes ${own} endpoints and all other applications ${others}: a fleet has at most ${MOST_ENDPOINTS}`,
    {
      remedy:
        'An endpoint of type instance counts as many times as its role has instances: use input where one for all of them does.',
    },
  );
}
