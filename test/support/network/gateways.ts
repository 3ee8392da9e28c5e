import type { Lab } from '../../lab/lab.ts';

interface Link {
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly addr_info: readonly { readonly local: string; readonly scope: string }[];
}

/** The bridge by which a guest leaves its subnet, on one host: its hardware address, and the addresses that guests know. */
export async function gatewayOn(lab: Lab, host: string, guest: string) {
  const gateway = guest.replace(/\d+$/, '1');
  const { stdout } = await lab.exec(host, ['ip', '-json', 'address', 'show']);
  const link = (JSON.parse(stdout) as readonly Link[]).find(({ addr_info: all }) =>
    all.some(({ local }) => local === gateway),
  );
  if (!link) throw new Error(`${host} has no bridge with ${gateway}`);
  const { ifname, address, mtu, addr_info: all } = link;
  return {
    ...{ ifname, address, mtu },
    addresses: all.flatMap(({ local, scope }) => (scope === 'global' ? [local] : [])).sort(),
  };
}
