import { exec } from '../../../agent/kit/exec.ts';
import type { Stage } from '../../contract/network/stage.ts';
import { bridgePlainly } from './generators.ts';

/** `taps`: whoever has opened the path starts them, each at the tap `TAP` of its host. */
export type GuestKind = 'namespaces' | 'taps';
export const TAP = 'tap';
/** Of the tunnel, and so of guests. */
export const PLAIN_MTU = 1450;

export interface PlainSide {
  readonly host: string;
  readonly underlay: string;
  readonly mac: string;
  /** On the VXLAN. */
  readonly router: string;
  readonly guest: string;
  /** Where the guest is one at a tap. */
  readonly guestMac: string;
  readonly gateway: string;
  readonly address: string;
}

const sideOf = (number: 1 | 2): PlainSide => ({
  host: `plain-${number}`,
  underlay: `192.0.2.${20 + number}`,
  mac: `52:54:63:00:00:0${number}`,
  router: `10.99.255.${number}`,
  guest: `plain-guest-${number}`,
  guestMac: `52:54:64:00:00:0${number}`,
  gateway: `10.99.${number}.1`,
  address: `10.99.${number}.10`,
});

/** What a firewall that knows connections has at the very least: it asks of each packet whether it belongs to one. */
const SMALLEST_FIREWALL = `table inet smallest {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established accept
  }
}
`;

/** Two hosts that route for a guest each, over a VXLAN that is made by hand, without a rule: the baseline of ours, on the same underlay. It goes with
 * the stage. */
export class PlainPath {
  readonly #stage: Stage;
  readonly #guests: GuestKind;
  readonly near = sideOf(1);
  readonly far = sideOf(2);

  constructor(stage: Stage, guests: GuestKind = 'namespaces') {
    this.#stage = stage;
    this.#guests = guests;
  }

  async open(): Promise<void> {
    await this.#addSide(this.near, this.far);
    await this.#addSide(this.far, this.near);
  }

  /** While it reads, each host tracks connections for one rule, which lets everything through. */
  async behindFirewall<T>(read: () => Promise<T>): Promise<T> {
    const hosts = [this.near.host, this.far.host];
    for (const host of hosts) await this.#stage.run(host, ['nft', '-f', '-'], SMALLEST_FIREWALL);
    try {
      return await read();
    } finally {
      for (const host of hosts) await this.#stage.run(host, ['nft', 'delete', 'table', 'inet', 'smallest']);
    }
  }

  async #addSide(side: PlainSide, other: PlainSide): Promise<void> {
    await this.#addNamespace(side.host);
    await bridgePlainly(this.#stage.namespace(side.host));
    await this.#links('world', [
      `link add ${side.host} type veth peer name eth0 netns ${this.#stage.namespace(side.host)}`,
      `link set ${side.host} master underlay up`,
    ]);
    await this.#links(side.host, [
      'link set eth0 up',
      `address add ${side.underlay}/24 dev eth0`,
      'link add guests type bridge',
      `address add ${side.gateway}/24 dev guests`,
      'link set guests up',
      `link add between address ${side.mac} type vxlan id 42 dstport 4789 local ${side.underlay} nolearning`,
      `link set between mtu ${PLAIN_MTU} up`,
      `address add ${side.router}/24 dev between`,
      `neigh replace ${other.router} lladdr ${other.mac} dev between nud permanent`,
      `route add ${other.address}/32 via ${other.router} dev between`,
    ]);
    await this.#stage.run(side.host, [
      ...['bridge', 'fdb', 'replace', other.mac, 'dev', 'between'],
      ...['dst', other.underlay, 'self', 'permanent'],
    ]);
    await this.#stage.run(side.host, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    if (this.#guests === 'namespaces') await this.#addGuest(side);
    else await this.#links(side.host, [`tuntap add dev ${TAP} mode tap`]);
    await this.#links(side.host, [`link set ${TAP} mtu ${PLAIN_MTU} master guests up`]);
  }

  async #addGuest(side: PlainSide): Promise<void> {
    await this.#addNamespace(side.guest);
    await this.#links(side.host, [
      `link add ${TAP} type veth peer name eth0 netns ${this.#stage.namespace(side.guest)}`,
    ]);
    await this.#links(side.guest, [
      `link set eth0 mtu ${PLAIN_MTU} up`,
      `address add ${side.address}/24 dev eth0`,
      `route add default via ${side.gateway}`,
    ]);
  }

  async #addNamespace(name: string): Promise<void> {
    await exec('ip', ['netns', 'add', this.#stage.namespace(name)], { timeoutMs: 30_000 });
    await this.#links(name, ['link set lo up']);
  }

  #links = (where: string, lines: readonly string[]) =>
    this.#stage.run(where, ['ip', '-batch', '-'], `${lines.join('\n')}\n`);
}
