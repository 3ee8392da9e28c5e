import type { Lab } from '../../lab/lab.ts';

interface Link {
  readonly ifname: string;
  readonly addr_info?: readonly { readonly local?: string; readonly scope?: string }[];
}

/** Every address at which a lab host could be reached from outside: of its own link, of the backbone, and of the bridges of guests. */
export async function addressesOf(lab: Lab, host: string): Promise<readonly string[]> {
  const { stdout } = await lab.exec(host, ['ip', '-json', 'address', 'show', 'scope', 'global']);
  const links = JSON.parse(stdout) as readonly Link[];
  return [...new Set(links.flatMap(({ addr_info: all = [] }) => all.flatMap(({ local }) => local ?? [])))];
}

export async function underlayOf(lab: Lab, host: string): Promise<string> {
  const { stdout } = await lab.exec(host, ['ip', '-4', '-o', 'addr', 'show', 'dev', 'eth0']);
  const found = /inet (\d+\.\d+\.\d+\.\d+)\//.exec(stdout)?.[1];
  if (found === undefined) throw new Error(`${host} has no address on its link`);
  return found;
}

export const LIBVIRT_NETWORK = '192.168.122.1';
export const CLOUD_SERVICES = '169.254.169.254';

/** Gives a lab host what it lacks and others have: a network of libvirt's own, and where a cloud serves its machines. @returns what takes it away. */
export async function addUsualNetworks(lab: Lab, host: string): Promise<() => Promise<void>> {
  const ip = (...words: string[]) => lab.exec(host, ['ip', ...words]);
  await ip('link', 'add', 'virbr0', 'type', 'bridge');
  await ip('address', 'add', `${LIBVIRT_NETWORK}/24`, 'dev', 'virbr0');
  await ip('address', 'add', `${CLOUD_SERVICES}/32`, 'dev', 'virbr0');
  await ip('link', 'set', 'virbr0', 'up');
  return async () => {
    await ip('link', 'delete', 'virbr0');
  };
}

/** VXLAN sets this in the first byte behind the UDP header (RFC 7348); what else comes to its port is nobody's tunnel. */
const VXLAN_FLAGS = '0x08';
export const VXLAN_PORT = 4789;

/** How many datagrams that are no VXLAN come from an address to a lab host's port of VXLAN, while something is done. */
export async function strangersAtVxlan(
  lab: Lab,
  host: string,
  from: string,
  work: () => Promise<unknown>,
): Promise<number> {
  const rule = `ip saddr ${from} udp dport ${VXLAN_PORT} @th,64,8 != ${VXLAN_FLAGS} counter name strangers`;
  const chain = `chain in {\n type filter hook prerouting priority -350; policy accept;\n ${rule}\n }`;
  await lab.exec(host, ['nft', '-f', '-'], {
    input: `table inet watch {\n counter strangers { }\n ${chain}\n}\n`,
  });
  try {
    await work();
    const { stdout } = await lab.exec(host, ['nft', 'list', 'counter', 'inet', 'watch', 'strangers']);
    return Number(/packets (\d+)/.exec(stdout)?.[1]);
  } finally {
    await lab.exec(host, ['nft', 'delete', 'table', 'inet', 'watch']);
  }
}

/** How many rules between roles a lab host's kernel has, of one family. */
export async function flowElements(lab: Lab, host: string, family: 4 | 6): Promise<number> {
  const { stdout: tables } = await lab.exec(host, ['nft', 'list', 'tables', 'inet']);
  const table = /^table inet (weft_[0-9a-f]{4})$/m.exec(tables)?.[1];
  if (table === undefined) return 0;
  const { stdout } = await lab.exec(host, ['nft', '-j', 'list', 'set', 'inet', table, `flows${family}`]);
  const { nftables } = JSON.parse(stdout) as {
    nftables: readonly { readonly set?: { readonly elem?: readonly unknown[] } }[];
  };
  return nftables.reduce((count, { set }) => count + (set?.elem?.length ?? 0), 0);
}
