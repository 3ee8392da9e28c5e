import { hexOf4 } from '../../../agent/network/names.ts';
import type { Lab } from '../../lab/lab.ts';
import { waitFor } from '../wait-for.ts';
import type { Weft } from '../weft.ts';
import { runUnreached } from './guest-probes.ts';
import type { PlacedGuest } from './matrix.ts';

/** The interface of a guest on its host: its name ends with its address. */
export async function tapOf(lab: Lab, { host, address }: PlacedGuest): Promise<string> {
  const { stdout } = await lab.exec(host, ['ip', '-o', 'link', 'show']);
  const found = new RegExp(`: (wt[0-9a-f]{4}-${hexOf4(address)})[:@]`).exec(stdout)?.[1];
  if (found === undefined) throw new Error(`${host} has no interface of ${address}`);
  return found;
}

const knock = (target: PlacedGuest, port: number) =>
  [target.address, target.address6]
    .map((address) => `nc -w 4 ${address} ${port} -e true </dev/null >/dev/null 2>&1 && echo heard at ${address}`)
    .join('\n');

/** A guest knocks at another one under a third one's addresses, and says by ARP that it has that one's IPv4 address. @returns where it was heard. */
export async function knockAs(
  weft: Weft,
  forger: PlacedGuest,
  other: PlacedGuest,
  target: PlacedGuest,
  port: number,
): Promise<string> {
  const script = `
set -- $(ip route show default); gateway=$3
set -- $(ip -6 route show default); gateway6=$3
ip addr add ${other.address}/32 dev lo
ip -6 addr add ${other.address6}/128 dev lo
ip route add ${target.address} via $gateway src ${other.address} || echo no route
ip -6 route add ${target.address6} via $gateway6 src ${other.address6} || echo no route
${knock(target, port)}
arping -c 2 -w 3 -I eth0 -s ${other.address} $gateway >/dev/null && echo answered
ip route del ${target.address}
ip -6 route del ${target.address6}
ip addr del ${other.address}/32 dev lo
ip -6 addr del ${other.address6}/128 dev lo
exit 0
`;
  return (await weft.ok(['ssh', forger.id, '--', script])).trim();
}

/** A guest takes another hardware address, knocks, and takes its own one again; nobody reaches it meanwhile. @returns where it was heard. */
export async function knockFrom(
  weft: Weft,
  forger: PlacedGuest,
  mac: string,
  target: PlacedGuest,
  port: number,
): Promise<string> {
  const ask = await runUnreached(
    weft,
    forger.id,
    `
read -r own </sys/class/net/eth0/address
trap 'ip link set eth0 address $own' EXIT
ip link set eth0 address ${mac} || echo not changed
${knock(target, port)}
`,
  );
  const said = await waitFor(`${forger.id} to have knocked`, ask, (text) => text !== null, 120_000, 1_000);
  return String(said).trim();
}

const ROGUE_DHCP = `
printf '%s\\n' 'start 10.66.0.10' 'end 10.66.0.20' 'interface eth0' 'lease_file /run/rogue.leases' 'pidfile /run/rogue.pid' 'option router 10.66.0.1' >/run/rogue.conf
: >/run/rogue.leases
setsid udhcpd -f -a 100 /run/rogue.conf </dev/null >/run/rogue.log 2>&1 &
`;

/** A guest of a mesh answers as a server of addresses, while its neighbour asks for one. @returns the servers of whom the neighbour has heard. */
export async function serveAddresses(
  weft: Weft,
  rogue: PlacedGuest,
  neighbour: PlacedGuest,
  askedUntil: () => Promise<boolean>,
): Promise<readonly string[]> {
  const ask = `
printf '%s\\n' '#!/bin/sh' '[ "$1" = bound ] && echo "$serverid" >>/run/servers' 'exit 0' >/run/heard; chmod 755 /run/heard
udhcpc -i eth0 -f -n -q -t 5 -T 2 -s /run/heard >/dev/null 2>&1
cat /run/servers
`;
  await weft.ok(['ssh', rogue.id, '--', ROGUE_DHCP]);
  try {
    let servers = '';
    await waitFor(
      'the rogue server to have answered',
      async () => {
        servers = await weft.ok(['ssh', neighbour.id, '--', ask]);
        return askedUntil();
      },
      (hasAnswered) => hasAnswered,
      60_000,
    );
    return [...new Set(servers.trim().split('\n'))];
  } finally {
    await weft.ok(['ssh', rogue.id, '--', 'read -r pid </run/rogue.pid && kill $pid; exit 0']);
  }
}
