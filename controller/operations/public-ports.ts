import { WeftError } from '../../agent/kit/errors.ts';
import type { ApplicationRecord, FleetRecord, Service, VmRecord } from '../model/index.ts';
import { clashOf, type PublicPorts, portsText, publicPorts } from '../model/public-ports.ts';
import { servedPorts } from '../reconciler/served-ports.ts';
import type { Store } from '../store/contract.ts';

/**
 * Without public addresses of the fleet's own, all applications share those of the edge hosts: a port is one application's, also while what
 * had it drains.
 * @throws WeftError `conflict`: which endpoint of which application has it; `invalid-model`: two of the application's own.
 */
export async function refuseTakenPorts(store: Store, service: Service): Promise<void> {
  const own = publicPorts(service);
  if (own.length === 0) return;
  const fleet = (await store.get('fleet'))?.value as FleetRecord | undefined;
  const hasAddresses = (fleet?.public ?? []).length > 0;
  refuseOwnClash(
    service.name,
    own.filter(({ isApart }) => !hasAddresses || !isApart),
  );
  if (hasAddresses) return;
  const [applications, vms] = await Promise.all([
    all<ApplicationRecord>(store, 'apps/'),
    all<VmRecord>(store, 'vms/'),
  ]);
  for (const other of applications)
    if (other.name !== service.name) refuseClash(service.name, own, other, vms);
}

const all = async <T>(store: Store, prefix: string): Promise<readonly T[]> =>
  (await store.list(prefix)).entries.map(({ value }) => value as T);

function refuseClash(
  app: string,
  own: readonly PublicPorts[],
  other: ApplicationRecord,
  vms: readonly VmRecord[],
): void {
  const declared = publicPorts(other.service);
  for (const ports of own) {
    const clash = clashOf(ports, declared);
    if (clash)
      throw new WeftError('conflict', wanted(app, ports, other, clash), {
        remedy: `Choose another port: ${other.name}/${clash.other.endpoint} has ${portsText(clash.other)}. With public addresses of the fleet's own each application has one to itself.`,
      });
    const drains = clashOf(ports, servedPorts(other, vms));
    if (drains)
      throw new WeftError(
        'conflict',
        `${wanted(app, ports, other, drains)} until its connections have ended`,
        {
          remedy: 'Ask again when "weft ps" shows nothing of it any more, or choose another port.',
        },
      );
  }
}

const wanted = (
  app: string,
  { endpoint }: PublicPorts,
  other: ApplicationRecord,
  clash: NonNullable<ReturnType<typeof clashOf>>,
): string =>
  `${app}/${endpoint} wants the public port ${clash.port}, which ${other.name}/${clash.other.endpoint} has`;

/** As it is after scaling, or of machines that have no addresses of their own after all. */
function refuseOwnClash(app: string, own: readonly PublicPorts[]): void {
  for (const [index, ports] of own.entries()) {
    if (ports.last > 65_535)
      throw new WeftError(
        'invalid-model',
        `${app}/${ports.endpoint} needs ${portsText(ports)}, and the last port is 65535`,
        {
          remedy: 'Ask for fewer instances, or begin at a lower port.',
        },
      );
    const clash = clashOf(ports, own.slice(0, index));
    if (clash)
      throw new WeftError(
        'invalid-model',
        `${app}/${ports.endpoint} and ${app}/${clash.other.endpoint} both want the public port ${clash.port}`,
        { remedy: `Choose another one: ${app}/${clash.other.endpoint} has ${portsText(clash.other)}.` },
      );
  }
}
