import type { Lab } from '../../lab/lab.ts';
import { waitFor } from '../wait-for.ts';
import type { Weft } from '../weft.ts';
import { FrameWatch, type Verdict } from './frame-watch.ts';
import { runUnreached } from './guest-probes.ts';
import type { PlacedGuest } from './matrix.ts';

/** What a guest's forgeries came to. */
export interface Forged {
  /** Where it was heard, or what of the forgery did not succeed; empty: nowhere, and nothing. */
  readonly said: string;
  readonly verdicts: Readonly<Record<string, Verdict>>;
}

export interface Knock {
  readonly forger: PlacedGuest;
  /** Whose addresses it pretends to have. */
  readonly other: PlacedGuest;
  readonly target: PlacedGuest;
  readonly port: number;
}

/** By both families at once. */
const knockAt = ({ target, port }: Knock) =>
  [target.address, target.address6]
    .map((to) => `{ nc -w 5 ${to} ${port} -e true </dev/null >/dev/null 2>&1 && echo heard at ${to}; } &\n`)
    .concat('wait')
    .join('');

/** A guest knocks at another one under a third one's addresses, and says by ARP that it has that one's IPv4 address. */
export function knockAs({ lab, weft }: { lab: Lab; weft: Weft }, knock: Knock): Promise<Forged> {
  const { forger, other, target } = knock;
  const script = `
set -- $(ip route show default); gateway=$3
set -- $(ip -6 route show default); gateway6=$3
ip addr add ${other.address}/32 dev lo || echo not added
ip -6 addr add ${other.address6}/128 dev lo || echo not added
ip route add ${target.address} via $gateway src ${other.address} || echo not routed
ip -6 route add ${target.address6} via $gateway6 src ${other.address6} || echo not routed
${knockAt(knock)}
arping -c 2 -w 3 -I eth0 -s ${other.address} $gateway >/dev/null && echo answered
ip route del ${target.address}
ip -6 route del ${target.address6}
ip addr del ${other.address}/32 dev lo
ip -6 addr del ${other.address6}/128 dev lo
exit 0
`;
  const matches = {
    address4: `ip saddr ${other.address}`,
    address6: `ip6 saddr ${other.address6}`,
    arp: `arp saddr ip ${other.address}`,
  };
  return watched(lab, forger, matches, () => weft.ok(['ssh', forger.id, '--', script]));
}

/** A guest takes another one's hardware address, knocks, and takes its own again; nobody reaches it meanwhile. */
export async function knockFrom({ lab, weft }: { lab: Lab; weft: Weft }, knock: Knock): Promise<Forged> {
  const { forger, other } = knock;
  const mac = (await weft.ok(['ssh', other.id, '--', 'cat /sys/class/net/eth0/address'])).trim();
  const script = `
read -r own </sys/class/net/eth0/address
trap 'ip link set eth0 address $own' EXIT
ip link set eth0 address ${mac} || echo not changed
${knockAt(knock)}
`;
  return watched(lab, forger, { hardware: `ether saddr ${mac}` }, async () => {
    const ask = await runUnreached(weft, forger.id, script);
    const wanted = (text: string | null) => text !== null;
    return String(await waitFor(`${forger.id} to have knocked`, ask, wanted, 120_000, 1_000));
  });
}

async function watched(
  lab: Lab,
  forger: PlacedGuest,
  matches: Readonly<Record<string, string>>,
  work: () => Promise<string>,
): Promise<Forged> {
  const watch = await FrameWatch.start(lab, forger, matches);
  try {
    const said = await work();
    return { said: said.trim(), verdicts: await watch.verdicts() };
  } finally {
    await watch.end();
  }
}

const ROGUE_DHCP = `
printf '%s\\n' 'start 10.66.0.10' 'end 10.66.0.20' 'interface eth0' 'lease_file /run/rogue.leases' 'pidfile /run/rogue.pid' 'option router 10.66.0.1' >/run/rogue.conf
: >/run/rogue.leases
setsid udhcpd -f -a 100 /run/rogue.conf </dev/null >/run/rogue.log 2>&1 &
`;
const ASK_DHCP = `
printf '%s\\n' '#!/bin/sh' '[ "$1" = bound ] && echo "$serverid" >>/run/servers' 'exit 0' >/run/heard
chmod 755 /run/heard
udhcpc -i eth0 -f -n -q -t 5 -T 2 -s /run/heard >/dev/null 2>&1
cat /run/servers
`;

/** A guest of a mesh answers as a server of addresses, while its neighbour asks for one. @returns as what is said, the servers of whom the neighbour has heard. */
export async function serveAddresses(
  { lab, weft }: { lab: Lab; weft: Weft },
  rogue: PlacedGuest,
  neighbour: PlacedGuest,
): Promise<Forged> {
  const watch = await FrameWatch.start(lab, rogue, { server: 'udp sport 67' });
  try {
    await weft.ok(['ssh', rogue.id, '--', ROGUE_DHCP]);
    let said = '';
    const verdicts = await waitFor(
      'the rogue server to have answered',
      async () => {
        const heard = await weft.ok(['ssh', neighbour.id, '--', ASK_DHCP]);
        said = [...new Set(heard.trim().split('\n'))].join(' ');
        return watch.verdicts();
      },
      ({ server }) => server !== 'not sent',
      60_000,
    );
    return { said, verdicts };
  } finally {
    await weft.ok(['ssh', rogue.id, '--', 'read -r pid </run/rogue.pid && kill $pid; exit 0']);
    await watch.end();
  }
}
