import { WeftError } from '../../agent/kit/errors.ts';
import { isToGo, type Service } from '../model/index.ts';
import { MACHINES } from '../model/network-checks.ts';
import type { Fabric } from './fabric.ts';

/** A machine keeps its address for as long as it is there, and with it its network. @throws WeftError `conflict`. */
export function refuseOtherNetworks({ vms }: Pick<Fabric, 'vms'>, service: Service): void {
  for (const [name, { network = MACHINES }] of Object.entries(service.machines)) {
    const known = vms.get(`${service.name}/${name}`);
    const now = known?.networkId.slice(service.name.length + 1);
    if (known?.kind !== 'machine' || isToGo(known) || now === network) continue;
    throw new WeftError('conflict', `${known.id} is on the network ${now}, and cannot go to ${network}`, {
      remedy: `Declare network: ${now}, or declare a machine of another name and take its data along by a backup.`,
    });
  }
}
