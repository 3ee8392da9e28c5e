import type { ObservedLink } from './links-observed.ts';
import type { TunnelConfiguration } from './tunnel-dump.ts';
import type { WantedPeer, WantedTunnel } from './tunnel-wanted.ts';

/** By what a tunnel is made: the kernel, or wireguard-go, a process that keeps a TUN device. */
export type TunnelMaker = 'kernel' | 'userspace';

/** Of no use to anybody, and on no wire: a device of IPv4 without an address takes nothing in where the kernel looks for the way back. */
const PLACEHOLDER = '169.254.47.89';
/** Among rules of routes, before everybody's own. */
const RULE_PRIORITY = 4789;
/** Keys are agreed upon anew every two minutes while there is traffic: who is heard, was heard within this time. */
const HANDSHAKE_LIMIT_S = 180;
const KINDS: Readonly<Record<TunnelMaker, string>> = { kernel: 'wireguard', userspace: 'tun' };
/**
 * WireGuard sends an empty packet when this is set, and that is what it is for: a host that has a session with what this device was before, or
 * with this host before it was started anew, has a new one at once, and not when it has waited for an answer for 15 s. Longer there is not.
 */
const RARELY_S = 65_535;
/** In one call of `wg`. */
const MOST_CHANGES = 64;

export interface ObservedTunnel {
  /** Null: there is no such device. */
  readonly link: ObservedLink | null;
  /** Null: nothing answers for it. */
  readonly configuration: TunnelConfiguration | null;
  /** Tables to which rules of IPv6 lead what is bound to the device. */
  readonly rules6: readonly number[];
  /** All of IPv6 goes through it, by its own table. */
  readonly isRouted6: boolean;
}

/** This host's key: the private one is in a file, and is in no plan. */
export interface TunnelKey {
  readonly file: string;
  readonly publicKey: string;
}

/** What is to be done, in this order, as arguments of programs. */
export interface TunnelPlan {
  /** Of `ip`. */
  readonly before: readonly (readonly string[])[];
  /** Whether the device is to be made. */
  readonly isMade: boolean;
  /** Of `wg`. */
  readonly configure: readonly (readonly string[])[];
  /** Of `ip`. */
  readonly after: readonly (readonly string[])[];
}

export const isNothingToDo = ({ before, isMade, configure, after }: TunnelPlan): boolean =>
  !isMade && before.length + configure.length + after.length === 0;

/**
 * From what there is to what should be.
 * @param name of the device. @param wanted null: none. @param nowS Unix time, seconds.
 */
export function planTunnel(
  name: string,
  wanted: WantedTunnel | null,
  key: TunnelKey,
  maker: TunnelMaker,
  observed: ObservedTunnel,
  nowS: number,
): TunnelPlan {
  const { link, configuration, rules6, isRouted6 } = observed;
  const isKept = wanted !== null && link?.linkinfo?.info_kind === KINDS[maker] && configuration !== null;
  const tables6 = wanted?.family === 6 ? [wanted.table] : [];
  const before = [
    ...rules6
      .filter((table) => !tables6.includes(table))
      .map((table) => ['-6', 'rule', 'delete', 'oif', name, 'lookup', String(table)]),
    ...(link !== null && !isKept ? [['link', 'delete', 'dev', name]] : []),
  ];
  if (wanted === null) return { before, isMade: false, configure: [], after: [] };
  const kept = isKept ? link : null;
  return {
    before,
    isMade: !isKept,
    configure: configurationLines(wanted, key, isKept ? configuration : null, nowS),
    after: [
      ...addressLines(wanted, kept),
      ...(kept?.mtu === wanted.mtu ? [] : [['link', 'set', 'dev', name, 'mtu', String(wanted.mtu)]]),
      ...(kept?.flags.includes('UP') ? [] : [['link', 'set', 'dev', name, 'up']]),
      ...tables6
        .filter(() => !isRouted6 || !isKept)
        .map((table) => ['-6', 'route', 'replace', 'default', 'dev', name, 'table', String(table)]),
      ...tables6.filter((table) => !rules6.includes(table)).map((table) => ruleOf(name, table)),
    ],
  };
}

const ruleOf = (name: string, table: number) => [
  ...['-6', 'rule', 'add', 'oif', name, 'lookup', String(table)],
  ...['priority', String(RULE_PRIORITY)],
];

function addressLines({ name, family }: WantedTunnel, link: ObservedLink | null): readonly string[][] {
  if (family === 6 || link?.addr_info.some(({ local }) => local === PLACEHOLDER)) return [];
  return [['address', 'replace', `${PLACEHOLDER}/32`, 'dev', name, 'scope', 'link']];
}

/**
 * Peers that are not wanted go before any comes: an address is one peer's at a time. Where the device itself was another one, all come anew:
 * the others have sessions with what it was.
 */
function configurationLines(
  { name, port, peers }: WantedTunnel,
  key: TunnelKey,
  has: TunnelConfiguration | null,
  nowS: number,
): readonly string[][] {
  const isOwn = has?.publicKey === key.publicKey && has.port === port && !has.isMarked;
  const wanted = new Set(peers.map(({ publicKey }) => publicKey));
  const found = (has?.peers ?? []).filter((peer) => !isOwn || !wanted.has(peer.publicKey));
  const present = new Map((isOwn ? has.peers : []).map((peer) => [peer.publicKey, peer]));
  const changes = [
    ...(isOwn ? [] : [['private-key', key.file, 'listen-port', String(port), 'fwmark', '0']]),
    ...found.map(({ publicKey }) => ['peer', publicKey, 'remove']),
    ...peers.filter((peer) => !isAsWanted(peer, present.get(peer.publicKey), nowS)).map(peerArguments),
  ];
  const calls = Array.from({ length: Math.ceil(changes.length / MOST_CHANGES) }, (_, index) =>
    changes.slice(index * MOST_CHANGES, (index + 1) * MOST_CHANGES),
  );
  return calls.map((some) => ['set', name, ...some.flat()]);
}

const peerArguments = ({ publicKey, allowed, endpoint }: WantedPeer) => [
  ...['peer', publicKey, 'preshared-key', '/dev/null'],
  ...['endpoint', endpoint, 'allowed-ips', allowed, 'persistent-keepalive', String(RARELY_S)],
];

/** One that was heard from another address lately has it for a reason: WireGuard follows who proves that he has the key. */
function isAsWanted(
  { allowed, endpoint }: WantedPeer,
  has: TunnelConfiguration['peers'][number] | undefined,
  nowS: number,
): boolean {
  if (has === undefined || has.isShared || has.allowed.join() !== allowed) return false;
  return has.endpoint === endpoint || nowS - has.heardS <= HANDSHAKE_LIMIT_S;
}
