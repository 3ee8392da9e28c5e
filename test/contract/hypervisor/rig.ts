import type { DomainSpec, HypervisorDriver, NetworkSpec } from '../../../agent/hypervisor/driver.ts';

export const FLEET = '5eed0000-0000-4000-8000-000000000001';
export const OTHER_FLEET = '07e40000-0000-4000-8000-000000000002';

/** A hypervisor to try a driver on, and what others than the driver can do to it. */
export interface HypervisorRig {
  /** Of `FLEET`. */
  readonly driver: HypervisorDriver;
  /** A driver of `OTHER_FLEET` on the same hypervisor. */
  readonly neighbour: HypervisorDriver;
  /** A small guest on an overlay of its own and on this network, which must be there before it starts. */
  aGuest(network: NetworkSpec, overrides?: Partial<DomainSpec>): Promise<DomainSpec>;
  /** Resolves when the guest runs its programs and listens to its power button. */
  guestIsUp(name: string): Promise<void>;
  /** Which boot of the guest this is; differs after each. */
  bootOf(name: string): Promise<string>;
  /** The guest ignores its power button from now on. */
  makeDeaf(name: string): Promise<void>;
  /** The guest stands still, as one whose disk has no room. */
  pauseGuest(name: string): Promise<void>;
  /** The guest powers itself off. */
  powerOffGuest(name: string): Promise<void>;
  /** The guest's kernel panics. */
  crashGuest(name: string): Promise<void>;
  /** The guest's watchdog is armed, and nobody feeds it. */
  hangGuest(name: string): Promise<void>;
  /** The guest resets itself. */
  resetGuest(name: string): Promise<void>;
  /** A running domain and an active network that nobody marked. */
  addUnmarkedDomain(name: string): Promise<void>;
  addUnmarkedNetwork(name: string): Promise<void>;
  /** Leaves a network defined and down, as a host's power loss does. */
  stopNetwork(name: string): Promise<void>;
  diskExists(path: string): Promise<boolean>;
  close(): Promise<void>;
}
