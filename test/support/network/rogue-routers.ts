import { linkLocalOf } from '../../../agent/network/addresses.ts';
import type { Lab } from '../../lab/lab.ts';
import { waitFor } from '../wait-for.ts';
import type { Weft } from '../weft.ts';
import type { Forged } from './forgeries.ts';
import { frameSender } from './frame-sender.ts';
import { FrameWatch } from './frame-watch.ts';
import { frameOf6, routerAdvertisement, routerSolicitation, udp6 } from './frames6.ts';
import type { PlacedGuest } from './matrix.ts';

interface Golden {
  readonly lab: Lab;
  readonly weft: Weft;
}

const SENDER = '/run/send-frame';
const ALL_NODES = '33:33:00:00:00:01';
const ALL_ROUTERS = '33:33:00:00:00:02';
const ALL_SERVERS = '33:33:00:01:00:02';

/** A guest that sends frames as they are given. */
class RawGuest {
  readonly #weft: Weft;
  readonly #id: string;
  readonly mac: string;

  private constructor(weft: Weft, id: string, mac: string) {
    this.#weft = weft;
    this.#id = id;
    this.mac = mac;
  }

  static async prepare(weft: Weft, { id }: PlacedGuest): Promise<RawGuest> {
    const asked = await weft.ok(['ssh', id, '--', 'cd /sys/class/net/eth0 && cat ifindex address']);
    const [link = '', mac = ''] = asked.trim().split('\n');
    const input = frameSender(Number(link)).toString('base64');
    await weft.ok(['ssh', id, '--', `base64 -d >${SENDER} && chmod 755 ${SENDER}`], { input });
    return new RawGuest(weft, id, mac);
  }

  /** @param packet of IPv6, in hex. @throws where it could not be sent. */
  async send(to: string, packet: string): Promise<void> {
    const input = Buffer.from(frameOf6(to, this.mac, packet), 'hex').toString('base64');
    await this.#weft.ok(['ssh', this.#id, '--', `base64 -d >/run/frame && ${SENDER} </run/frame`], { input });
  }

  run(command: string): Promise<string> {
    return this.#weft.ok(['ssh', this.#id, '--', command]);
  }
}

/** It is nobody's: a client that is none asks for an address. */
const SOLICIT = '01a1b2c3000100040002aabb0003000c000000010000000000000000';

/** A guest of a mesh says that it is a router, and gives out addresses of IPv6, by whatever port; and it asks for both. */
export async function advertiseRouter({ lab, weft }: Golden, rogue: PlacedGuest): Promise<Forged> {
  const guest = await RawGuest.prepare(weft, rogue);
  const own = linkLocalOf(guest.mac);
  const watch = await FrameWatch.start(lab, rogue, {
    router: 'icmpv6 type nd-router-advert',
    server: 'udp sport 547',
    answer: 'udp sport 4000 udp dport 546',
    solicitation: 'icmpv6 type nd-router-solicit',
    question: 'udp dport 547',
  });
  try {
    await guest.send(ALL_NODES, routerAdvertisement(own, guest.mac));
    for (const port of [547, 4000]) await guest.send(ALL_NODES, udp6(own, 'ff02::1', port, 546, SOLICIT));
    await guest.send(ALL_ROUTERS, routerSolicitation(own, guest.mac));
    await guest.send(ALL_SERVERS, udp6(own, 'ff02::1:2', 546, 547, SOLICIT));
    const verdicts = await waitFor(
      'all of it to have come',
      () => watch.verdicts(),
      (all) => !Object.values(all).includes('not sent'),
      60_000,
    );
    return { said: '', verdicts };
  } finally {
    await watch.end();
  }
}

/** What a guest that asks for it, and has IPv6 by its seed, is told of IPv6, and what addresses it has then. */
export async function learnRouter({ weft }: Golden, asking: PlacedGuest) {
  const guest = await RawGuest.prepare(weft, asking);
  const own = linkLocalOf(guest.mac);
  const setting = '/proc/sys/net/ipv6/conf/eth0/accept_ra';
  const gateway = async () => {
    // `default via ADDRESS dev eth0 … expires 8999sec`: by an advertisement, which is not for ever.
    const routes = await guest.run('ip -6 route show default');
    return /^default via (fe80:\S+) .*expires/m.exec(routes)?.[1];
  };
  const answers = async () =>
    Number(/^Udp6NoPorts\s+(\d+)/m.exec(await guest.run('cat /proc/net/snmp6'))?.[1]);
  try {
    await guest.run(`echo 1 >${setting}`);
    const router = await waitFor(
      'its router to be advertised',
      async () => {
        await guest.send(ALL_ROUTERS, routerSolicitation(own, guest.mac));
        return gateway();
      },
      (found) => found !== undefined,
      60_000,
      1_000,
    );
    const before = await answers();
    await waitFor(
      'an answer about its address',
      async () => {
        await guest.send(ALL_SERVERS, udp6(own, 'ff02::1:2', 546, 547, SOLICIT));
        return answers();
      },
      (count) => count > before,
      60_000,
      1_000,
    );
    const addresses = await guest.run('ip -6 addr show dev eth0 scope global');
    await guest.run(`ip -6 route del default via ${router} dev eth0`);
    return { addresses: [...addresses.matchAll(/inet6 (\S+)/g)].map(([, address]) => address) };
  } finally {
    await guest.run(`echo 0 >${setting}`);
  }
}
