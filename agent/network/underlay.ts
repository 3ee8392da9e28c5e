import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { addressAt, numberOf } from '../kit/addressing.ts';
import type { UnderlayOffer } from '../protocol/index.ts';
import { canonical6, is4, is6, wordsOf6 } from './addresses.ts';
import { type ObservedLink, observeLinks } from './links-observed.ts';
import { fleetPrefix } from './names.ts';

const LIMIT_MS = 2_000;
/** Anywhere: the address of documentation, to which nothing is sent. */
const ELSEWHERE = '192.0.2.1';

export interface UnderlayOptions {
  readonly fleet: string;
  /** From the configuration; null: the one by which this host reaches its controller. */
  readonly address: string | null;
  /** `host:port` of the controller. */
  readonly controller: () => string;
}

export interface Underlay {
  /** Null: there is no address by which others could reach this host. */
  readonly offer: UnderlayOffer | null;
  /** Prefixes of this host's own links, and its controller's address: no guest reaches them. */
  readonly guarded: readonly string[];
}

/** Where other hosts reach this one, and what is beside it. */
export async function lookAtUnderlay(options: UnderlayOptions): Promise<Underlay> {
  const [{ links }, controller] = await Promise.all([
    observeLinks([]),
    addressOf(hostOf(options.controller())),
  ]);
  const own = links.filter((link) => !isOfFleet(fleetPrefix(options.fleet), link) && link.ifname !== 'lo');
  const networks = networksOf(own);
  const address = options.address ?? (await ownAddress(controller));
  const link = own.find(({ addr_info: all }) => all.some(({ local }) => local === address));
  return {
    offer: address !== null && link ? { address, mtu: link.mtu, networks: networks.slice(0, 64) } : null,
    guarded: [...networks, ...(controller === null ? [] : [controller])],
  };
}

/** Where it cannot say, as where the controller is on this very machine, the way into the world is taken. */
async function ownAddress(controller: string | null): Promise<string | null> {
  const found = controller === null ? null : await sourceTo(controller);
  return found !== null && !isLoopback(found) ? found : sourceTo(ELSEWHERE);
}

const isLoopback = (address: string) => address.startsWith('127.') || address === '::1';

const hostOf = (controller: string) => controller.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');

const addressOf = (host: string): Promise<string | null> =>
  lookup(host).then(
    ({ address }) => address,
    () => null,
  );

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
    socket.connect(9, address, () => end(socket.address().address));
  });
}

const isOfFleet = (prefix: string, { ifname }: ObservedLink) => new RegExp(`^w[bxvt]${prefix}`).test(ifname);

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
