import { WeftError } from '../../agent/kit/errors.ts';
import type { Service } from '../model/index.ts';
import { clashOf, portsText, publicPorts } from '../model/public-ports.ts';
import { type PortRanges, portRangesText } from '../model/reserved-ports.ts';

/**
 * What listens on all addresses of an edge host cannot start any more once the load balancer has its port at one of them: SSH, the
 * controller itself.
 * @throws WeftError `conflict`: which endpoint wants which of them.
 */
export function refuseReservedPorts(service: Service, reserved: PortRanges): void {
  const kept = reserved.map(([first, last]) => ({ endpoint: '', first, last, isApart: false, path: [] }));
  for (const ports of publicPorts(service)) {
    const clash = clashOf(ports, kept);
    if (clash)
      throw new WeftError(
        'conflict',
        `${service.name}/${ports.endpoint} wants ${portsText(ports)} at the load balancers, and edge hosts need ${clash.port} for themselves`,
        {
          remedy: `Choose another one. Where no edge host needs it, for example because its SSH listens at its own address alone, start the controller with --reserved-ports and what of ${portRangesText(reserved)} is to stay.`,
        },
      );
  }
}
