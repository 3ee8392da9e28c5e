import { agentsPort, usersPort } from '../../lab/controller.ts';
import type { Lab } from '../../lab/lab.ts';
import { controllerAddress } from '../../lab/layout.ts';
import type { Weft } from '../weft.ts';
import { type Probe, probeFrom } from './guest-probes.ts';
import type { PlacedGuest } from './matrix.ts';

interface Link {
  readonly ifname: string;
  readonly addr_info?: readonly { readonly local?: string; readonly scope?: string }[];
}

/** Every address of a lab host that is no loopback's: of its own link, of the backbone, and of the bridges of guests. */
async function addressesOf(lab: Lab, host: string): Promise<readonly string[]> {
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

const LIBVIRT_NETWORK = '192.168.122.1';
const CLOUD_SERVICES = '169.254.169.254';

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

/** How long nobody answers, before it counts as dropped; and how long what is to answer may take. */
const SILENCE_S = 6;
const ANSWERS_S = 60;
const DNS = 53;
const SSH = 22;
const PUBLISHED = 80;
const LIBVIRT = 16509;
const LIBVIRT_TLS = 16514;
const HAND_OVERS = 7702;
const VXLAN = 4789;

export type Target = Pick<Probe, 'address' | 'port'>;

/** What no guest is to reach: every lab host at each of its addresses, and the controller. */
export async function closedTargets(lab: Lab): Promise<readonly Target[]> {
  const { hosts, number } = await lab.state();
  const at = (addresses: readonly string[], ports: readonly number[]) =>
    addresses.flatMap((address) => ports.map((port) => ({ address, port })));
  const all = (await Promise.all(hosts.map(({ name }) => addressesOf(lab, name)))).flat();
  const underlays = await Promise.all(hosts.map(({ name }) => underlayOf(lab, name)));
  return [
    ...at([...new Set(all)], [SSH, PUBLISHED, LIBVIRT]),
    ...at(underlays, [LIBVIRT_TLS, HAND_OVERS, VXLAN]),
    ...at([controllerAddress(number)], [SSH, usersPort, agentsPort]),
  ];
}

/** Those of the targets that a guest has reached. @throws where it is not even answered by its gateway, of which it gets its names. */
export async function reachedBy(
  weft: Weft,
  { id, address }: PlacedGuest,
  targets: readonly Target[],
): Promise<readonly Target[]> {
  const gateway = { address: address.replace(/\d+$/, '1'), port: DNS };
  const probe = (target: Target, isFirst: boolean): Probe => ({
    ...{ ...target, protocol: 'tcp', isFirst },
    patienceSeconds: isFirst ? ANSWERS_S : SILENCE_S,
  });
  const probes = [probe(gateway, true), ...targets.map((target) => probe(target, false))];
  const [names, ...outcomes] = await probeFrom(weft, id, probes);
  if (names !== 'connected') throw new Error(`${id} is not answered by its gateway: ${names}`);
  return targets.filter((_, index) => outcomes[index] === 'connected' || outcomes[index] === 'refused');
}

/** VXLAN sets this in the first byte behind the UDP header (RFC 7348); what else comes to its port is nobody's tunnel. */
const VXLAN_FLAGS = '0x08';

/**
 * Datagrams that are no VXLAN, at the port of another host's: how many of a guest's have come there, and how many that its own host has sent.
 * What of a guest leaves its host has that one's address.
 */
export async function strangersAtVxlan(
  { lab, weft }: { lab: Lab; weft: Weft },
  guest: PlacedGuest,
): Promise<{ readonly ofGuest: number; readonly ofHost: number }> {
  const { hosts } = await lab.state();
  const other = String(hosts.find(({ name }) => name !== guest.host)?.name);
  const [from, to] = [await underlayOf(lab, guest.host), await underlayOf(lab, other)];
  const rule = `ip saddr ${from} udp dport ${VXLAN} @th,64,8 != ${VXLAN_FLAGS} counter name strangers`;
  const chain = `chain in {\n type filter hook prerouting priority -350; policy accept;\n ${rule}\n }`;
  await lab.exec(other, ['nft', '-f', '-'], {
    input: `table inet watch {\n counter strangers { }\n ${chain}\n}\n`,
  });
  const counted = async () => {
    const { stdout } = await lab.exec(other, ['nft', 'list', 'counter', 'inet', 'watch', 'strangers']);
    return Number(/packets (\d+)/.exec(stdout)?.[1]);
  };
  try {
    await probeFrom(weft, guest.id, [
      { protocol: 'udp', address: to, port: VXLAN, patienceSeconds: SILENCE_S, isFirst: false },
    ]);
    const ofGuest = await counted();
    const words = ['-n', '-m', '1', '-q', '1', '-w', '1', '-p', String(VXLAN - 1), to];
    await lab.exec(guest.host, ['busybox', 'traceroute', ...words]);
    return { ofGuest, ofHost: (await counted()) - ofGuest };
  } finally {
    await lab.exec(other, ['nft', 'delete', 'table', 'inet', 'watch']);
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
