import { addressAt, parseRange, SERVICE_OFFSET } from '../kit/addressing.ts';
import type { Goal } from '../protocol/index.ts';

/**
 * What a subnet's resolver has to know of the fleet's names: their domain, and the one address at which every host finds a name server,
 * wherever that is; rules of the host lead it there. Undefined: the goal has no names, or this host has no way to them.
 */
export function guestResolver({
  backbone,
  router,
}: Pick<Goal, 'backbone' | 'router'>): { readonly zone: string; readonly address: string } | undefined {
  if (!backbone || !router?.resolver) return undefined;
  const address = addressAt(parseRange(backbone.cidr).base + SERVICE_OFFSET);
  return { zone: router.resolver.zone, address };
}
