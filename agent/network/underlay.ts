import { createSocket } from 'node:dgram';
import { addressAt, numberOf } from '../kit/addressing.ts';
import type { UnderlayOffer } from '../protocol/index.ts';
import { canonical6, is4, is6, wordsOf6 } from './addresses.ts';
import { type ObservedLink, readLinks } from './links-observed.ts';
import { fleetPrefix } from './names.ts';
import { MOST_ADDRESSES, toldNetworks } from './told-networks.ts';

const LIMIT_MS = 2_000;
/** Anywhere: the address of documentation, to which nothing is sent. */
const ELSEWHERE = '192.0.2.1';

/** Bridges with guests that are somebody else's: libvirt's own networks, and another fleet. */
const BEHIND = /^(virbr|w[bxv][0-9a-f]{4})/;

export interface UnderlayOptions {
  readonly fleet: string;
  /** From the configuration; null: the one by which this host reaches its controller. */
  readonly address: string | null;
  /** `host:port` of the controller. */
  readonly controller: () => string;
  /** Of this host's fence devices, by name or by address. */
  readonly devices: readonly string[];
  /** As last known; none: never. */
  readonly addressesOf: (name: string) => readonly string[];
  /** Addresses of the fleet that this host may have now, and another one in a moment: none of them is its own. Absent: there are none. */
  readonly shared?: () => Promise<ReadonlySet<string>>;
}

export interface Underlay {
  /** Null: there is no address by which others could reach this host. */
  readonly offer: UnderlayOffer | null;
  /** Prefixes of this host's own links: a guest reaches what its role's `outbound` names of them. */
  readonly guarded: readonly string[];
  /** No guest reaches these: the host itself, its controller, its fence devices, libvirt's networks and those of other fleets. */
  readonly never: readonly string[];
}

/** Where other hosts reach this one, and what is beside it. */
export async function lookAtUnderlay(options: UnderlayOptions): Promise<Underlay> {
  const { shared = async () => new Set<string>() } = options;
  // Each is known before it is here, and until it is gone.
  const sharedBefore = await shared();
  const links = await readLinks();
  const ofFleet = new Set([...sharedBefore, ...(await shared())]);
  const ownOn = (link: ObservedLink) => addressesOn(link).filter((each) => !ofFleet.has(each));
  const controllers = options.addressesOf(hostOf(options.controller()));
  const devices = options.devices.map((name) => options.addressesOf(name));
  const all = links.filter((link) => !isOfFleet(fleetPrefix(options.fleet), link));
  const own = all.filter(({ ifname }) => ifname !== 'lo');
  const networks = networksOf(own);
  const closed = networksOf(own.filter(({ ifname }) => BEHIND.test(ifname)));
  const address = options.address ?? (await ownAddress(controllers));
  const link = own.find(({ addr_info: all }) => all.some(({ local }) => local === address));
  // Where the list is too long for a controller, it is the last ones that it is not told.
  const closedOnes = hostAddresses([
    ...[controllers, ...devices, link ? ownOn(link) : []].flat(),
    ...all.flatMap(ownOn).sort(),
  ]);
  return {
    offer:
      address !== null && link
        ? {
            ...{ address, mtu: link.mtu, networks: toldNetworks(networks, networksOf([link])) },
            ...{ closed: toldNetworks(closed), own: closedOnes.slice(0, MOST_ADDRESSES) },
          }
        : null,
    guarded: networks,
    never: [...closedOnes, ...closed],
  };
}

/**
 * Where that cannot say, as where the controller is on this very machine, the way into the world is taken. Where there is no way to it, no
 * other one is looked for: it will be back, or nobody hears of this.
 */
async function ownAddress(controllers: readonly string[]): Promise<string | null> {
  for (const controller of controllers) {
    const found = await sourceTo(controller);
    if (found !== null) return isLoopback(found) ? sourceTo(ELSEWHERE) : found;
  }
  return controllers.length === 0 ? sourceTo(ELSEWHERE) : null;
}

const isLoopback = (address: string) => address.startsWith('127.') || address === '::1';

/** Name or address of a controller. @param controller `host:port`. */
export const hostOf = (controller: string) => controller.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');

const addressesOn = ({ addr_info: all }: ObservedLink) => all.flatMap(({ local }) => local ?? []);

/** Without those that mean another host to each. */
const hostAddresses = (all: readonly string[]): readonly string[] =>
  [...new Set(all)].filter((each) => !isLoopback(each) && !each.startsWith('fe80') && !each.includes('%'));

/** As which address this host would speak with another: the kernel's own choice, for which nothing is sent. */
function sourceTo(address: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = createSocket(is4(address) ? 'udp4' : 'udp6');
    const timer = setTimeout(() => end(null), LIMIT_MS);
    const end = (found: string | null) => {
      clearTimeout(timer);
      socket.close();
      resolve(found);
    };
    socket.once('error', () => end(null));
    // Where there is no way to it, this is told as well.
    socket.connect(9, address, (error?: Error) => end(error ? null : socket.address().address));
  });
}

const isOfFleet = (prefix: string, { ifname }: ObservedLink) => new RegExp(`^w[bxvtg]${prefix}`).test(ifname);

function networksOf(links: readonly ObservedLink[]): readonly string[] {
  const all = links.flatMap(({ addr_info: addresses }) =>
    addresses.flatMap(({ local, prefixlen }) => {
      if (local === undefined || prefixlen === undefined) return [];
      if (is4(local)) return [networkOf4(local, prefixlen)];
      return is6(local) && !local.startsWith('fe80') ? [networkOf6(local, prefixlen)] : [];
    }),
  );
  return [...new Set(all)].sort();
}

function networkOf4(address: string, length: number): string {
  const number = numberOf(address);
  return `${addressAt(number - (number % 2 ** (32 - length)))}/${length}`;
}

function networkOf6(address: string, length: number): string {
  const kept = wordsOf6(address).map((word, index) => {
    const bits = Math.min(16, Math.max(0, length - index * 16));
    return (word & (0xffff << (16 - bits)) & 0xffff).toString(16);
  });
  return `${canonical6(kept.join(':'))}/${length}`;
}
