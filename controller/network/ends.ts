import { isIP, isIPv6 } from 'node:net';
import { addressAt, bitsOf, familyOf } from '../../agent/kit/addressing.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import type { VmRecord } from '../model/records.ts';
import { subnetNamesOf } from '../reconciler/flows.ts';
import type { NetworkWorld } from '../reconciler/network-world.ts';
import { guestView, subnetNameOf } from './view.ts';

/** One end of a connection that somebody asks about. */
export type End =
  | { readonly kind: 'world' /** Null: anywhere. */; readonly address: string | null }
  | { readonly kind: 'guest'; readonly app: string; readonly subnet: string; readonly vm: VmRecord }
  | {
      readonly kind: 'subnet';
      readonly app: string;
      readonly subnet: string;
      readonly guests: readonly VmRecord[];
    };

export type Inside = Exclude<End, { kind: 'world' }>;

/**
 * @param text `world`, an address of the world, the id of an instance or a machine, or `app/role`.
 * @throws WeftError `not-found`.
 */
export function endOf(text: string, world: NetworkWorld): End {
  if (text === 'world') return { kind: 'world', address: null };
  const address = unmapped(text.replace(/^\[|\]$/g, ''));
  if (isIP(address) !== 0) return byAddress(address, world);
  const vm = world.vms.get(text);
  if (vm) return guestEnd(vm, world);
  const [app = '', subnet = ''] = text.split('/');
  const application = world.applications.get(app);
  if (application && text === `${app}/${subnet}` && subnetNamesOf(application).includes(subnet)) {
    const guests = [...world.vms.values()].filter(
      (each) => each.app === app && !each.deleting && subnetNameOf(each, world) === subnet,
    );
    return { kind: 'subnet', app, subnet, guests };
  }
  throw new WeftError('not-found', `there is no instance, machine, role or network ${JSON.stringify(text)}`, {
    remedy: 'Use an id of weft ps (crm/web-0), a role (crm/web), an address, or world.',
  });
}

const MAPPED = 0xffffn;

/** An address of IPv4 that is written as one of IPv6 (`::ffff:192.0.2.1`) is that one. */
function unmapped(text: string): string {
  if (!isIPv6(text) || familyOf(text) === null) return text;
  const bits = bitsOf(text);
  return bits >> 32n === MAPPED ? addressAt(Number(bits & 0xffffffffn)) : text;
}

/** Whether two addresses are one, however they are written. */
export const isSame = (one: string, other: string): boolean =>
  familyOf(one) !== null && familyOf(one) === familyOf(other) && bitsOf(one) === bitsOf(other);

/** An address of a guest is that guest, in either family. */
function byAddress(address: string, world: NetworkWorld): End {
  const is = (own: string | null) => own !== null && isSame(own, address);
  const vm = [...world.vms.values()].find(
    (each) => !each.deleting && (is(each.address) || is(guestView(each, world).address6)),
  );
  return vm ? guestEnd(vm, world) : { kind: 'world', address };
}

const guestEnd = (vm: VmRecord, world: NetworkWorld): End => ({
  kind: 'guest',
  app: vm.app,
  subnet: subnetNameOf(vm, world),
  vm,
});

export const guestsOf = (end: End): readonly VmRecord[] =>
  end.kind === 'guest' ? [end.vm] : end.kind === 'subnet' ? end.guests : [];
