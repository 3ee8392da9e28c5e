import { asPrefix } from '../kit/addressing.ts';
import { is4 } from './addresses.ts';
import type { ObservedLink, ObservedLinks } from './links-observed.ts';
import type { WantedBridge, WantedLinks, WantedVxlan } from './links-wanted.ts';
import { possibleRanges, unreachableMetric } from './unreachable.ts';

/** What is to be done, in this order. Lines are those of `ip -batch` and `bridge -batch`. */
export interface LinkPlan {
  readonly links: readonly string[];
  /** Devices on which IPv6 is to be on. */
  readonly enable6: readonly string[];
  readonly addresses: readonly string[];
  readonly forwards: readonly string[];
}

/**
 * From what there is to what should be. Only devices whose name is the fleet's are touched: VXLANs come and go here, bridges and
 * guests' interfaces are libvirt's and are only put right. What hangs on a device that is not there yet waits for it.
 * @param prefix of the fleet's names. @param near addresses and prefixes that this host has to reach whatever the fleet has. @param making names of the bridges that libvirt may be just making.
 */
export function planLinks(
  prefix: string,
  wanted: WantedLinks,
  observed: ObservedLinks,
  near: readonly string[] = [],
  making: ReadonlySet<string> = new Set(),
): LinkPlan {
  const halfMade = halfMadeOf(wanted, observed, making);
  const found = new Map(
    observed.links.filter(({ ifname }) => !halfMade.has(ifname)).map((each) => [each.ifname, each]),
  );
  const ours = new RegExp(`^w[xv]${prefix}(-[0-9]+)?$`);
  const kept = new Set(
    wanted.vxlans.filter((each) => isVxlan(found.get(each.name), each)).map(({ name }) => name),
  );
  const gone = observed.links.filter(({ ifname }) => ours.test(ifname) && !kept.has(ifname));
  const made = wanted.vxlans.filter(({ name }) => !kept.has(name));
  // As it will be once these are done.
  const there = new Set([
    ...[...found.keys()].filter((name) => !gone.some(({ ifname }) => ifname === name)),
    ...made.map(({ name }) => name),
  ]);
  const context: Context = {
    wanted,
    observed,
    found,
    kept,
    there,
    isOurs: (device) => ours.test(device) || wanted.bridges.some(({ name }) => name === device),
  };
  return {
    links: [
      ...gone.map(({ ifname }) => `link delete dev ${ifname}`),
      ...made.map(addVxlan),
      ...wanted.vxlans.flatMap((each) => vxlanLines(context, each)),
      ...wanted.bridges.flatMap((each) => bridgeLines(context, each)),
    ],
    enable6: possible(context, wanted.addresses, ({ address }) => address).flatMap(({ device, address }) =>
      // Of what is made just now nobody knows yet whether it has it.
      !is4(address) && there.has(device) && (observed.without6.has(device) || isMade(context, device))
        ? [device]
        : [],
    ),
    addresses: [
      ...addressLines(context),
      ...neighbourLines(context),
      ...routeLines(context),
      ...unreachableLines(prefix, context, near),
    ],
    forwards: forwardLines(context),
  };
}

/**
 * Bridges that libvirt is making, and has not given their address: they are left alone. It fails where that is there before it does so, and one
 * that it takes back because something else has failed is gone before anything is done to it.
 */
function halfMadeOf(
  wanted: WantedLinks,
  observed: ObservedLinks,
  making: ReadonlySet<string>,
): ReadonlySet<string> {
  const isAddressed = (name: string) =>
    wanted.addresses.some(
      ({ device, address }) =>
        device === name &&
        is4(address) &&
        observed.links.some(
          ({ ifname, addr_info: all }) => ifname === name && all.some(({ local }) => local === address),
        ),
    );
  return new Set([...making].filter((name) => !isAddressed(name)));
}

export const isNothing = (plan: LinkPlan): boolean =>
  plan.links.length + plan.enable6.length + plan.addresses.length + plan.forwards.length === 0;

interface Context {
  readonly wanted: WantedLinks;
  readonly observed: ObservedLinks;
  readonly found: ReadonlyMap<string, ObservedLink>;
  /** VXLANs that are as they should be: what hangs on them is still there. */
  readonly kept: ReadonlySet<string>;
  readonly there: ReadonlySet<string>;
  readonly isOurs: (device: string) => boolean;
}

const isUp = (link: ObservedLink | undefined) => link?.flags.includes('UP') === true;

function isVxlan(link: ObservedLink | undefined, { vni, port, local, mac }: WantedVxlan): boolean {
  const { info_kind: kind, info_data: data } = link?.linkinfo ?? {};
  return (
    kind === 'vxlan' &&
    data?.id === vni &&
    data.port === port &&
    (data.local ?? data.local6) === local &&
    (mac === null || link?.address === mac)
  );
}

const addVxlan = ({ name, vni, port, local, mac }: WantedVxlan) =>
  `link add ${name}${mac === null ? '' : ` address ${mac}`} type vxlan id ${vni} dstport ${port} local ${local} nolearning`;

/** A bridge may be told where its guests are, and asks nobody: what it does not know goes nowhere. */
const PORT = 'type bridge_slave learning off neigh_suppress on flood off mcast_flood off bcast_flood off';

/** What an older `ip` does not tell of is taken for what it was set to. */
const isAsSet = (port: NonNullable<NonNullable<ObservedLink['linkinfo']>['info_slave_data']>) =>
  port.learning === false &&
  port.neigh_suppress === true &&
  port.flood === false &&
  port.mcast_flood !== true &&
  port.bcast_flood !== true;

function vxlanLines({ found, kept, there }: Context, { name, mtu, master }: WantedVxlan): readonly string[] {
  const link = kept.has(name) ? found.get(name) : undefined;
  const isMasterThere = master !== null && there.has(master);
  const isPort = link?.master !== undefined && link.master === master;
  const port = link?.linkinfo?.info_slave_data;
  const isQuiet = isPort && port !== undefined && isAsSet(port);
  return [
    ...(link?.mtu === mtu ? [] : [`link set dev ${name} mtu ${mtu}`]),
    ...(isMasterThere && !isPort ? [`link set dev ${name} master ${master}`] : []),
    ...(isMasterThere && !isQuiet ? [`link set dev ${name} ${PORT}`] : []),
    ...(isUp(link) ? [] : [`link set dev ${name} up`]),
  ];
}

/** Frames to 01:80:c2:00:00:00 to 0f, but those that hold a sender back (802.3x), which the kernel gives to nobody. */
const ALL_GROUPS = '0xfffd';

function bridgeLines({ found }: Context, { name, mtu, taps }: WantedBridge): readonly string[] {
  const bridge = found.get(name);
  if (bridge === undefined) return [];
  const present = taps.flatMap((tap) => found.get(tap) ?? []);
  return [
    // A bridge that was made anew has lost what was on it.
    ...present
      .filter(({ master }) => master !== name)
      .map(({ ifname }) => `link set dev ${ifname} master ${name}`),
    // What a guest was told at its start it goes on taking: of its neighbours on the bridge nobody would tell it otherwise.
    ...[...present.filter((tap) => mtu !== null && tap.mtu < mtu), bridge]
      .filter((link) => mtu !== null && link.mtu !== mtu)
      .map(({ ifname }) => `link set dev ${ifname} mtu ${mtu}`),
    // A guest says where another one is by no frame that rules for bridges do not see.
    ...(bridge.linkinfo?.info_data?.no_linklocal_learn === 0
      ? [`link set dev ${name} type bridge no_linklocal_learn 1`]
      : []),
    // It says nothing past these rules either: what bridges keep for themselves is judged like all else, and not left to the interface, which answers ARP.
    ...present
      .filter(
        ({ master, linkinfo }) => master !== name || linkinfo?.info_slave_data?.group_fwd_mask !== ALL_GROUPS,
      )
      .map(({ ifname }) => `link set dev ${ifname} type bridge_slave group_fwd_mask ${ALL_GROUPS}`),
    ...present.filter((tap) => !isUp(tap)).map(({ ifname }) => `link set dev ${ifname} up`),
    ...(isUp(bridge) ? [] : [`link set dev ${name} up`]),
  ];
}

/** @returns what is wanted and not there, and what is there and not wanted, on devices that stay. */
function differences<T extends { readonly device: string }>(
  { kept, there, isOurs, wanted }: Context,
  wants: readonly T[],
  has: readonly T[],
  keyOf: (each: T) => string,
): { readonly missing: readonly T[]; readonly surplus: readonly T[] } {
  const stays = (device: string) => kept.has(device) || wanted.bridges.some(({ name }) => name === device);
  const present = has.filter(({ device }) => isOurs(device) && stays(device));
  const [wantedKeys, presentKeys] = [new Set(wants.map(keyOf)), new Set(present.map(keyOf))];
  return {
    missing: wants.filter((each) => there.has(each.device) && !presentKeys.has(keyOf(each))),
    surplus: present.filter((each) => !wantedKeys.has(keyOf(each))),
  };
}

/** IPv6 of a kernel that has none is left out. */
const possible = <T>({ observed }: Context, each: readonly T[], addressOf: (one: T) => string) =>
  observed.has6 ? each : each.filter((one) => is4(addressOf(one)));

function addressLines(context: Context): readonly string[] {
  const { wanted, found, there } = context;
  return possible(context, wanted.addresses, ({ address }) => address).flatMap(
    ({ device, address, prefix }) => {
      const isThere =
        !isMade(context, device) &&
        found
          .get(device)
          ?.addr_info.some(({ local, prefixlen }) => local === address && prefixlen === prefix);
      if (isThere || !there.has(device)) return [];
      // One that is down may be one that libvirt is just making: it fails where its address is there before it.
      if (is4(address) && isBridge(context, device) && !isUp(found.get(device))) return [];
      return [`address replace ${address}/${prefix} dev ${device}${is4(address) ? '' : ' nodad'}`];
    },
  );
}

const isMade = ({ wanted, kept }: Context, device: string) =>
  wanted.vxlans.some(({ name }) => name === device) && !kept.has(device);

function neighbourLines(context: Context): readonly string[] {
  const { missing, surplus } = differences(
    context,
    possible(context, context.wanted.neighbours, ({ address }) => address),
    context.observed.neighbours,
    ({ device, address, mac }) => `${device} ${address} ${mac}`,
  );
  const isReplaced = new Set(missing.map(({ device, address }) => `${device} ${address}`));
  return [
    ...surplus
      .filter(({ device, address }) => !isReplaced.has(`${device} ${address}`))
      .map(({ device, address }) => `neigh delete ${address} dev ${device}`),
    ...missing.map(
      ({ device, address, mac }) => `neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`,
    ),
  ];
}

function routeLines(context: Context): readonly string[] {
  const { missing, surplus } = differences(
    context,
    possible(context, context.wanted.routes, ({ to }) => to),
    context.observed.routes,
    ({ device, to, via }) => `${device} ${to} ${via}`,
  );
  const isReplaced = new Set(missing.map(({ to }) => to));
  return [
    ...surplus
      .filter(({ to }) => !isReplaced.has(to))
      .map(({ device, to }) => `route delete ${asPrefix(to)} dev ${device}`),
    ...missing.map(({ device, to, via }) => `route replace ${asPrefix(to)} via ${via} dev ${device}`),
  ];
}

/** Where guests' addresses are somebody else's too, this host keeps its ways to them. */
function unreachableLines(prefix: string, context: Context, near: readonly string[]): readonly string[] {
  const { wanted, observed } = context;
  const metric = unreachableMetric(prefix);
  const isOfFleet = (name: string) => new RegExp(`^w[bxvt]${prefix}(-|$)`).test(name);
  const ranges = possible(context, wanted.unreachable, (range) => range.split('/')[0] ?? '');
  const wants = possibleRanges(ranges, observed.links, isOfFleet, near);
  const has = observed.unreachable.filter((each) => each.metric === metric).map(({ to }) => to);
  const line = (what: string) => (to: string) => `route ${what} unreachable ${to} metric ${metric}`;
  return [
    ...has.filter((to) => !wants.includes(to)).map(line('delete')),
    ...wants.filter((to) => !has.includes(to)).map(line('replace')),
  ];
}

function forwardLines(context: Context): readonly string[] {
  const onVxlans = context.observed.forwards.filter(({ device }) => !isBridge(context, device));
  const { missing, surplus } = differences(
    context,
    // Behind a port that is on no bridge yet there is nothing, and without a tunnel there is no way to who is behind it.
    context.wanted.forwards.filter(
      ({ device, via, through }) =>
        (via !== null || hasMaster(context, device)) && (through === null || context.found.has(through)),
    ),
    onVxlans,
    ({ device, mac, via, through }) => `${device} ${mac} ${via} ${through}`,
  );
  const isReplaced = new Set(missing.map(({ device, mac, via }) => `${device} ${mac} ${via === null}`));
  return [
    ...surplus
      .filter(({ device, mac, via }) => !isReplaced.has(`${device} ${mac} ${via === null}`))
      .map(({ device, mac, via, through }) =>
        via === null
          ? `fdb delete ${mac} dev ${device} master static`
          : // The device that it is bound to may be gone: what is sent to that hardware address goes as a whole.
            `fdb delete ${mac} dev ${device}${through === null ? ` dst ${via}` : ''} self`,
      ),
    ...missing.map(({ device, mac, via, through }) =>
      via === null
        ? `fdb replace ${mac} dev ${device} master static`
        : `fdb replace ${mac} dev ${device} dst ${via}${through === null ? '' : ` via ${through}`} self permanent`,
    ),
  ];
}

const isBridge = ({ wanted }: Context, device: string) => wanted.bridges.some(({ name }) => name === device);

const hasMaster = ({ wanted, there }: Context, device: string) => {
  const master = wanted.vxlans.find(({ name }) => name === device)?.master ?? null;
  return master !== null && there.has(master);
};
