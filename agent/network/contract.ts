import type { NetworkGoal } from '../protocol/index.ts';

/** What of a subnet is not libvirt's: outbound address translation, in one nftables table of our own, replaced atomically. */
export interface HostNetwork {
  /** Rewrites the whole table `weft_<fleet4>` for exactly these subnets; enables forwarding. */
  apply(fleet: string, networks: readonly NetworkGoal[]): Promise<void>;
  /**
   * Makes this host ask for a guest's hardware address ten times a second instead of once, so that a guest is reached when it is up, not
   * at the second after. Of use only: a kernel that does not let it changes nothing else.
   */
  hastenResolution(bridge: string): Promise<void>;
  /** Removes the table. */
  remove(fleet: string): Promise<void>;
}

export interface Bridge {
  readonly name: string;
  /** Names of the interfaces on it. */
  readonly ports: readonly string[];
}

/** What the kernel has of links and tables, whoever made it. */
export interface HostLinks {
  bridges(): Promise<readonly Bridge[]>;
  /** Names of the nftables tables of family `ip`. */
  tables(): Promise<readonly string[]>;
  removeBridge(name: string): Promise<void>;
}
