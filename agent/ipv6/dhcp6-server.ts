import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { canonical6, hexOf6 } from '../network/addresses.ts';
import { answerDhcp6 } from './dhcp6-answer.ts';
import { linkLocalInterfaces } from './interfaces6.ts';
import type { Subnet6 } from './subnets6.ts';

/** Where clients ask all servers and relays of their link (RFC 8415, 7.1). */
const GROUP = 'ff02::1:2';
const PORTS = { server: 547, client: 546 };

interface Listening {
  readonly socket: Socket;
  /** The kernel's number of its bridge: one that was made anew has another. */
  readonly index: number;
  subnet: Subnet6;
}

/** Answers DHCPv6 on bridges of this host's guests, from the bridge's link-local address, for those guests only. */
export class Dhcp6Server {
  readonly #listening = new Map<string, Listening>();

  /** Listens on these bridges, as far as they are there, and on no other. @returns whether it did not. @throws of the first that it cannot listen on. */
  async align(subnets: readonly Subnet6[]): Promise<boolean> {
    const there = subnets.length === 0 ? new Map<string, number>() : await linkLocalInterfaces();
    const wanted = new Map(subnets.map((subnet) => [subnet.bridge, subnet]));
    let isChanged = false;
    for (const [bridge, { index }] of this.#listening)
      if (!wanted.has(bridge) || there.get(bridge) !== index) {
        this.#end(bridge);
        isChanged = true;
      }
    for (const [bridge, subnet] of wanted) {
      const known = this.#listening.get(bridge);
      const index = there.get(bridge);
      if (known) known.subnet = subnet;
      else if (index !== undefined) {
        await this.#listen(subnet, index);
        isChanged = true;
      }
    }
    return isChanged;
  }

  /** A socket for each: one that is bound to the group on a bridge hears nothing of any other link. */
  async #listen(subnet: Subnet6, index: number): Promise<void> {
    const { bridge } = subnet;
    const socket = createSocket({ type: 'udp6', reuseAddr: true, ipv6Only: true });
    try {
      socket.bind({ port: PORTS.server, address: `${GROUP}%${bridge}`, exclusive: true });
      await once(socket, 'listening');
      socket.addMembership(GROUP, `::%${bridge}`);
    } catch (error) {
      socket.close();
      throw error;
    }
    const listening = { socket, index, subnet };
    this.#listening.set(bridge, listening);
    socket.on('error', () => this.#listening.get(bridge) === listening && this.#end(bridge));
    socket.on('message', (bytes, { address }) => {
      const answer = answerTo(bytes, address, listening.subnet);
      // Who gets none asks again.
      if (answer) socket.send(answer, PORTS.client, address, () => undefined);
    });
    socket.unref();
  }

  #end(bridge: string): void {
    this.#listening.get(bridge)?.socket.close();
    this.#listening.delete(bridge);
  }
}

/** Rules let a guest send from its own link-local address only. @param sender with its zone. */
function answerTo(bytes: Buffer, sender: string, { addresses, gateway, gatewayMac }: Subnet6): Buffer | null {
  const address = addresses.get(canonical6(sender.split('%')[0] ?? ''));
  if (address === undefined) return null;
  // A DUID of the kind "link-layer address", of Ethernet (RFC 8415, 11.4).
  const serverId = Buffer.from(`00030001${gatewayMac}`, 'hex');
  return answerDhcp6(bytes, { serverId, address: bytesOf6(address), nameServer: bytesOf6(gateway) });
}

const bytesOf6 = (address: string): Buffer => Buffer.from(hexOf6(address).slice(2), 'hex');
