import { WeftError } from '../../agent/kit/errors.ts';
import type { Fabric } from './fabric.ts';
import type { Forecast } from './forecast.ts';

/**
 * Refuses a service that the hosts there are cannot hold. Without any host that is up nothing is refused: the VMs wait for the first.
 * @throws WeftError `no-capacity`: which resource, on which host, and what would fit.
 */
export function refuseWithoutRoom({ hosts }: Fabric, { refusals, placed }: Forecast): void {
  const [first] = refusals;
  if (!first || !hosts.some((host) => host.state === 'up' && host.offer !== null)) return;
  const reasons = first.explanation.hosts.map(({ host, reasons }) => `${host}: ${reasons.join(', ')}`);
  const fitting = `${placed.fits} of ${placed.wanted} new VMs would fit`;
  throw new WeftError('no-capacity', `no host can take ${first.id} (${reasons.join('; ')}); ${fitting}`, {
    remedy: `Ask for fewer or smaller ones (${fitting}), or add a host.`,
    details: {
      fits: placed.fits,
      wanted: placed.wanted,
      refused: refusals.map(({ id }) => id),
      hosts: first.explanation.hosts,
    },
  });
}
