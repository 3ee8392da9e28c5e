import { z } from 'zod';
import { hasIp6, readSetting } from './kernel-setting.ts';
import { standingLinks } from './standing-links.ts';
import type { UnreachableRoute } from './unreachable.ts';

const link = z.object({
  ifindex: z.number(),
  ifname: z.string(),
  mtu: z.number(),
  flags: z.array(z.string()).default([]),
  address: z.string().optional(),
  master: z.string().optional(),
  linkinfo: z
    .object({
      info_kind: z.string().optional(),
      info_data: z
        .object({
          ...{ id: z.number(), port: z.number(), local: z.string(), local6: z.string() },
          no_linklocal_learn: z.number(),
        })
        .partial()
        .optional(),
      info_slave_data: z
        .object({
          ...{ learning: z.boolean(), neigh_suppress: z.boolean() },
          ...{ flood: z.boolean(), mcast_flood: z.boolean(), bcast_flood: z.boolean() },
          group_fwd_mask: z.string(),
        })
        .partial()
        .optional(),
    })
    .optional(),
  addr_info: z.array(z.object({ local: z.string(), prefixlen: z.number() }).partial()).default([]),
});
const links = z.array(link);
export type ObservedLink = Omit<z.infer<typeof link>, 'ifindex'>;

const routes = z.array(
  z.object({
    dst: z.string(),
    dev: z.string().optional(),
    gateway: z.string().optional(),
    type: z.string().optional(),
    metric: z.number().optional(),
  }),
);
const neighbours = z.array(
  z.object({ dst: z.string(), dev: z.string().optional(), lladdr: z.string().optional() }),
);
const forwards = z.array(
  z.object({
    mac: z.string(),
    ifname: z.string(),
    dst: z.string().optional(),
    viaIf: z.string().optional(),
    master: z.string().optional(),
    flags: z.array(z.string()).default([]),
    state: z.string().optional(),
  }),
);

/** What the kernel has, whoever made it. */
export interface ObservedLinks {
  readonly links: readonly ObservedLink[];
  /** Of a host to another router: host routes by a gateway. */
  readonly routes: readonly { readonly device: string; readonly to: string; readonly via: string }[];
  /** Routes to nowhere, whoever made them. */
  readonly unreachable: readonly UnreachableRoute[];
  /** Permanent ones. */
  readonly neighbours: readonly { readonly device: string; readonly address: string; readonly mac: string }[];
  readonly forwards: readonly {
    readonly device: string;
    readonly mac: string;
    readonly via: string | null;
    /** The device that it is bound to; one that is gone has no name but its number: `if12`. */
    readonly through: string | null;
  }[];
  /** Devices on which IPv6 is off. */
  readonly without6: ReadonlySet<string>;
  /** This kernel has IPv6. */
  readonly has6: boolean;
}

/** @param devices whose switch for IPv6 is looked at. */
export async function observeLinks(devices: readonly string[]): Promise<ObservedLinks> {
  const has6 = await hasIp6();
  const [seen, off] = await Promise.all([
    standingLinks.all(has6, (document) => links.parse(document)),
    Promise.all(devices.map(async (device) => ((await isOff6(device)) ? [device] : []))),
  ]);
  const reached = [...routes.parse(seen.routes), ...routes.parse(seen.routes6)];
  return {
    links: seen.links,
    routes: reached.flatMap(({ dst, dev, gateway }) =>
      dev === undefined || gateway === undefined || dst.includes('/')
        ? []
        : [{ device: dev, to: dst, via: gateway }],
    ),
    unreachable: reached.flatMap(({ dst, type, metric }) =>
      type === 'unreachable' && metric !== undefined ? [{ to: dst, metric }] : [],
    ),
    neighbours: neighbours
      .parse(seen.neighbours)
      .flatMap(({ dst, dev, lladdr }) =>
        dev === undefined || lladdr === undefined ? [] : [{ device: dev, address: dst, mac: lladdr }],
      ),
    forwards: forwards.parse(seen.forwards).flatMap(({ mac, ifname, dst, viaIf, master, flags, state }) => {
      const isTunnelled = dst !== undefined && flags.includes('self');
      if (!isTunnelled && (master === undefined || state !== 'static')) return [];
      const through = isTunnelled ? (viaIf ?? null) : null;
      return [{ device: ifname, mac, via: isTunnelled ? dst : null, through }];
    }),
    without6: new Set(off.flat()),
    has6,
  };
}

/** Links and their addresses alone. */
export const readLinks = async (): Promise<readonly ObservedLink[]> =>
  links.parse(await standingLinks.addresses());

/** Null: there is no such device, or no IPv6. */
async function isOff6(device: string): Promise<boolean | null> {
  const text = await readSetting(`/proc/sys/net/ipv6/conf/${device}/disable_ipv6`);
  return text === null ? null : text === '1';
}
