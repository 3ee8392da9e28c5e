import { fileURLToPath } from 'node:url';
import { exec } from '../../../agent/kit/exec.ts';
import { bridgeName, tapName, tunnelDevice } from '../../../agent/network/names.ts';
import type { TunnelMaker } from '../../../agent/network/tunnel-plan.ts';
import { endAll } from '../../support/namespace-processes.ts';
import {
  cidrOf,
  DEVICE,
  DEVICE6,
  FLEET,
  type Guest,
  gateway6Of,
  gatewayMacOf,
  gatewayOf,
  HOSTS,
  numberOfRole,
  ROLES,
  underlay6Of,
  underlayOf,
} from './fleet.ts';
import { Worker } from './worker.ts';

export const TCP_PORTS = [22, 80, 5432, 9000];
export const UDP_PORTS = [53, 68, 514];
const LISTENING = JSON.stringify({ tcp: TCP_PORTS, udp: UDP_PORTS });
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const WORLD = ['203.0.113.1', '203.0.113.2'];
const WORLD6 = ['2001:db8:2::1', '2001:db8:2::2'];
/** Of the world on the underlay: the hosts' way out. */
export const GATEWAY = '192.0.2.1';
export const GATEWAY6 = '2001:db8:1::1';

/** Prefixes of the hosts' own links. */
export const GUARDED = ['192.0.2.0/24', '2001:db8:1::/64'];

export interface ConnectionLimits {
  readonly perSecond: number | 'off';
  /** What the kernel's table is said to hold. */
  readonly max: number;
}

export interface Tunnels {
  /** Folder of the hosts' private keys. */
  readonly keys: string;
  readonly maker: TunnelMaker;
}

/** Hosts of one machine have devices of one name, and so the sockets of wireguard-go would be one. */
const OWN_SOCKETS = [
  ...['unshare', '--mount', 'sh', '-c'],
  ...['mkdir -p /run/wireguard && mount -t tmpfs tmpfs /run/wireguard && exec "$@"', 'sh'],
];

/**
 * Hosts as namespaces on one underlay, with bridges as libvirt would make them, and guests as namespaces on them: real kernel, no QEMU.
 * Every namespace carries the stage's own name.
 */
export class Stage {
  readonly #name = `wnt${process.pid}`;
  readonly #namespaces: string[] = [];
  readonly #workers: Worker[] = [];
  readonly #tunnels: Tunnels | null;
  readonly #advertisements: string | null;
  readonly #limits: Readonly<Record<string, ConnectionLimits>>;
  readonly hosts = new Map<string, { readonly router: Worker; readonly programs: Worker }>();
  readonly guests = new Map<string, Worker>();
  #world: Worker | null = null;

  /**
   * @param tunnels how hosts encrypt; absent: they do not. @param advertisements folder of what advertises the hosts'
   * routers to guests; absent: nobody does. @param limits of hosts where guests' connections have others than usual.
   */
  constructor(
    tunnels: Tunnels | null = null,
    advertisements: string | null = null,
    limits: Readonly<Record<string, ConnectionLimits>> = {},
  ) {
    this.#tunnels = tunnels;
    this.#advertisements = advertisements;
    this.#limits = limits;
  }

  namespace(what: string): string {
    return `${this.#name}-${what.replace('/', '-')}`;
  }

  async open(hosts: readonly string[] = HOSTS): Promise<void> {
    await this.addNamespace('world');
    await this.#batch('world', [
      'link add underlay type bridge',
      'link set underlay up',
      `address add ${GATEWAY}/24 dev underlay`,
      `address add ${GATEWAY6}/64 dev underlay nodad`,
      `address add ${DEVICE}/24 dev underlay`,
      `address add ${DEVICE6}/64 dev underlay nodad`,
      ...[...WORLD.map((each) => `${each}/32`), ...WORLD6.map((each) => `${each}/128`)].map(
        (each) => `address add ${each} dev lo`,
      ),
    ]);
    this.#world = this.#program('world');
    await this.#world.ready;
    await Promise.all(hosts.map((host) => this.#addHost(host)));
  }

  /** @param suffix of the name, where a guest is at two places. */
  async addGuest(guest: Guest, suffix = '', mtu = 1450): Promise<Worker> {
    const name = `${guest.id}${suffix}`;
    await this.#plug(guest, name, mtu);
    await this.#batch(name, [
      `address add ${guest.address}/22 dev eth0`,
      `address add ${guest.address6}/64 dev eth0 nodad`,
      `route add default via ${gatewayOf(guest.role)}`,
      // Its router may have been advertised to it already.
      `route replace default via ${gateway6Of(guest.role)}`,
    ]);
    return this.#inhabit(name);
  }

  /** One that has read no seed: a link, and nothing else. */
  async addBareGuest(guest: Guest): Promise<Worker> {
    await this.#plug(guest, guest.id, 1450);
    return this.#inhabit(guest.id);
  }

  async #plug(guest: Guest, name: string, mtu: number): Promise<void> {
    const tap = tapName(FLEET, guest.address);
    await this.addNamespace(name);
    await this.#batch(guest.host, [
      `link add ${tap} type veth peer name eth0 netns ${this.namespace(name)}`,
      `link set ${tap} mtu ${mtu} master ${bridgeName(FLEET, { number: numberOfRole(guest.role) })}`,
      `link set ${tap} up`,
    ]);
    await this.#batch(name, [`link set eth0 address ${guest.mac} mtu ${mtu}`, 'link set eth0 up']);
  }

  async #inhabit(name: string): Promise<Worker> {
    const worker = this.#program(name);
    await worker.ready;
    this.guests.set(name, worker);
    return worker;
  }

  /** What the hosts' underlay is on. */
  get world(): Worker {
    if (!this.#world) throw new Error('the stage is not open');
    return this.#world;
  }

  guest(name: string): Worker {
    const worker = this.guests.get(name);
    if (!worker) throw new Error(`there is no guest ${name}`);
    return worker;
  }

  host(name: string): { readonly router: Worker; readonly programs: Worker } {
    const host = this.hosts.get(name);
    if (!host) throw new Error(`there is no host ${name}`);
    return host;
  }

  /** @returns what it printed. @throws where it fails. */
  async run(where: string, command: readonly string[], input?: string): Promise<string> {
    const { stdout } = await exec('ip', ['netns', 'exec', this.namespace(where), ...command], {
      timeoutMs: 30_000,
      ...(input === undefined ? {} : { input }),
    });
    return stdout;
  }

  /** kill -9 of what a host's network is kept by; what that has begun goes on. Another one begins. */
  async restart(host: string): Promise<void> {
    const { router, programs } = this.host(host);
    await router.end();
    this.hosts.set(host, { router: await this.#startRouter(host), programs });
  }

  /** Where a host's own programs are, with its sockets. */
  async runAt(host: string, command: readonly string[]): Promise<string> {
    return this.run(host, ['nsenter', `--mount=/proc/${this.host(host).router.pid}/ns/mnt`, ...command]);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.end()));
    // radvd outlives who has started it.
    if (this.#advertisements !== null)
      await Promise.all([...this.hosts.keys()].map((host) => endAll(this.namespace(host))));
    // What keeps it ends with it.
    if (this.#tunnels !== null)
      for (const host of this.hosts.keys())
        await this.run(host, ['ip', 'link', 'delete', tunnelDevice(FLEET)]).catch(() => undefined);
    for (const namespace of this.#namespaces)
      await exec('ip', ['netns', 'delete', namespace], { timeoutMs: 30_000, okExitCodes: [0, 1] });
  }

  async #addHost(host: string): Promise<void> {
    await this.addNamespace(host);
    await this.#batch('world', [
      `link add ${host} type veth peer name eth0 netns ${this.namespace(host)}`,
      `link set ${host} master underlay up`,
    ]);
    await this.#batch(host, [
      'link set eth0 up',
      `address add ${underlayOf(host)}/24 dev eth0`,
      `address add ${underlay6Of(host)}/64 dev eth0 nodad`,
      `route add default via ${GATEWAY}`,
      `route add default via ${GATEWAY6}`,
      ...ROLES.flatMap((role) => this.#bridgeLines(role)),
    ]);
    const programs = this.#program(host);
    const [router] = await Promise.all([this.#startRouter(host), programs.ready]);
    this.hosts.set(host, { router, programs });
  }

  async #startRouter(host: string): Promise<Worker> {
    const program = [
      ...(this.#tunnels === null ? [] : OWN_SOCKETS),
      ...[process.execPath, '--import', 'tsx', here('./host.ts'), JSON.stringify(GUARDED)],
      this.#tunnels === null
        ? 'null'
        : JSON.stringify({ maker: this.#tunnels.maker, keyFile: `${this.#tunnels.keys}/${host}.key` }),
      JSON.stringify(this.#limits[host] ?? null),
      ...(this.#advertisements === null ? [] : [`${this.#advertisements}/${host}`]),
    ];
    const router = this.#keep(new Worker(this.namespace(host), program));
    await router.ready;
    return router;
  }

  async makeBridge(host: string, role: string): Promise<void> {
    await this.#batch(host, this.#bridgeLines(role));
  }

  /** As libvirt makes one that has no IPv6 of its making. */
  #bridgeLines(role: string): readonly string[] {
    const bridge = bridgeName(FLEET, { number: numberOfRole(role) });
    return [
      `link add ${bridge} address ${gatewayMacOf(role)} type bridge`,
      `link set ${bridge} up`,
      `address add ${gatewayOf(role)}/${cidrOf(role).split('/')[1]} dev ${bridge}`,
    ];
  }

  /** Of the stage's, with nothing in it. */
  async addNamespace(what: string): Promise<void> {
    const namespace = this.namespace(what);
    await exec('ip', ['netns', 'add', namespace], { timeoutMs: 30_000 });
    this.#namespaces.push(namespace);
    await this.#batch(what, ['link set lo up']);
  }

  async #batch(where: string, lines: readonly string[]): Promise<void> {
    await exec('ip', ['-netns', this.namespace(where), '-batch', '-'], {
      input: `${lines.join('\n')}\n`,
      timeoutMs: 30_000,
    });
  }

  #program(where: string): Worker {
    return this.#keep(new Worker(this.namespace(where), ['python3', here('./guest.py'), LISTENING]));
  }

  #keep(worker: Worker): Worker {
    this.#workers.push(worker);
    return worker;
  }
}
