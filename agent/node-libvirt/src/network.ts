import type { CallOptions } from './call-options.ts';
import type { Library } from './library.ts';
import type { NativeNetwork, NetworkHandle } from './native.ts';
import { NetworkUpdateFlag } from './network-constants.ts';

export interface DhcpLease {
  readonly interface: string;
  /** Seconds since 1970. */
  readonly expirySeconds: bigint;
  readonly type: 'ipv4' | 'ipv6';
  readonly mac: string | null;
  readonly iaid: string | null;
  readonly address: string;
  readonly prefix: number;
  readonly hostname: string | null;
  readonly clientId: string | null;
}

/** A virtual network of one connection. */
export class Network {
  readonly name: string;
  readonly uuid: string;
  readonly #library: Library;
  readonly #handle: NetworkHandle;

  /** @internal */
  constructor(library: Library, network: NativeNetwork) {
    this.#library = library;
    this.#handle = network.handle;
    this.name = network.name;
    this.uuid = network.uuid;
  }

  isActive(options?: CallOptions): Promise<boolean> {
    return this.#library.run('networkIsActive', [this.#handle], options);
  }

  isPersistent(options?: CallOptions): Promise<boolean> {
    return this.#library.run('networkIsPersistent', [this.#handle], options);
  }

  /** @param flags NetworkXmlFlag. */
  getXML(flags = 0, options?: CallOptions): Promise<string> {
    return this.#library.run('networkXml', [this.#handle, flags], options);
  }

  getBridgeName(options?: CallOptions): Promise<string> {
    return this.#library.run('networkBridgeName', [this.#handle], options);
  }

  /** Starts a defined network. */
  create(options?: CallOptions): Promise<void> {
    return this.#library.run('networkCreate', [this.#handle], options);
  }

  destroy(options?: CallOptions): Promise<void> {
    return this.#library.run('networkDestroy', [this.#handle], options);
  }

  undefine(options?: CallOptions): Promise<void> {
    return this.#library.run('networkUndefine', [this.#handle], options);
  }

  getAutostart(options?: CallOptions): Promise<boolean> {
    return this.#library.run('networkAutostart', [this.#handle], options);
  }

  setAutostart(autostart: boolean, options?: CallOptions): Promise<void> {
    return this.#library.run('networkSetAutostart', [this.#handle, autostart], options);
  }

  /**
   * Changes one element in place, for example a DHCP host.
   * @param command NetworkUpdateCommand.
   * @param section NetworkUpdateSection, for example IP_DHCP_HOST.
   * @param xml the element, for example `<host mac='…' ip='…'/>`.
   * @param parentIndex which `<ip>` of the network; −1 lets libvirt find it.
   * @param flags NetworkUpdateFlag; both live and stored by default.
   */
  update(
    command: number,
    section: number,
    xml: string,
    parentIndex = -1,
    flags: number = NetworkUpdateFlag.LIVE | NetworkUpdateFlag.CONFIG,
    options?: CallOptions,
  ): Promise<void> {
    return this.#library.run(
      'networkUpdate',
      [this.#handle, command, section, parentIndex, xml, flags],
      options,
    );
  }

  /** @param mac only the leases of this address. */
  getDhcpLeases(mac: string | null = null, options?: CallOptions): Promise<readonly DhcpLease[]> {
    return this.#library.run('networkDhcpLeases', [this.#handle, mac], options);
  }
}
