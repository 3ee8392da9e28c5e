import { WeftError } from '../../agent/kit/errors.ts';
import type { ApplicationRecord, FleetRecord, Service } from '../model/index.ts';
import { clashOf, type PublicPorts, portsText, publicPorts } from '../model/public-ports.ts';
import type { Store } from '../store/contract.ts';

/**
 * Without public addresses of the fleet's own, all applications share those of the edge hosts: a port is one application's.
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
  const { entries } = await store.list('apps/');
  for (const { value } of entries) {
    const { name, service: other } = value as ApplicationRecord;
    if (name === service.name) continue;
    const others = publicPorts(other);
    for (const ports of own) {
      const clash = clashOf(ports, others);
      if (clash)
        throw new WeftError(
          'conflict',
          `${service.name}/${ports.endpoint} wants the public port ${clash.port}, which ${name}/${clash.other.endpoint} has`,
          {
            remedy: `Choose another port: ${name}/${clash.other.endpoint} has ${portsText(clash.other)}. With public addresses of the fleet's own each application has one to itself.`,
          },
        );
    }
  }
}

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
