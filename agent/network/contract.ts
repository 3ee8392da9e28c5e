import type { RouterPart } from './router-part.ts';

/** What of subnets is not libvirt's: the router between them, its rules, and what carries them to other hosts. */
export interface HostNetwork {
  /**
   * Brings this host in line with a goal. Resolves when its rules hold, all of them in one transaction; links, routes and neighbours follow
   * by themselves, and what fails of them is tried again.
   */
  apply(part: RouterPart): Promise<void>;
  /** A bridge has come or gone: what belongs on it is looked at again. Never fails; what it could not do is tried again. */
  refresh(): Promise<void>;
  /**
   * Makes this host ask for a guest's hardware address ten times a second instead of once, for as long as it would otherwise, so that a
   * guest is reached when it is up, not at the second after. Of use only: a kernel that does not let it changes nothing else.
   */
  hastenResolution(bridge: string): Promise<void>;
  /** Whether a bridge of this name is there. */
  hasBridge(name: string): Promise<boolean>;
  /** Whether all that is on a bridge is put back by `refresh` when the bridge was made anew. False also when nobody can say. */
  mayRemake(fleet: string, bridge: string): Promise<boolean>;
  /** Removes the fleet's tables. */
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
  /** Names of the nftables tables of the families that a fleet may have one in. */
  tables(): Promise<readonly string[]>;
  /** Whether interfaces of a fleet's guests are here. What cannot be read has some. */
  hasGuests(fleet: string): Promise<boolean>;
  removeBridge(name: string): Promise<void>;
}
