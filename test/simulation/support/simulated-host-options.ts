import type { Duplex } from 'node:stream';
import type { plan } from '../../../agent/executor/plan.ts';
import type { Clock } from '../../../agent/kit/clock.ts';
import type { HostShape } from '../../support/builders/host.ts';
import type { HostNetwork } from './migration/direct-lines.ts';
import type { ChangesNetwork } from './network/simulated-network.ts';
import type { Random } from './random.ts';
import type { SharedPool } from './shared-pool.ts';
import type { MachineDisk } from './simulated-disks.ts';
import type { SimulatedHost } from './simulated-host.ts';

export interface SimulatedHostOptions {
  readonly name: string;
  readonly shape: HostShape;
  readonly clock: Clock;
  readonly random: Random;
  /** Chance that a boot fails. */
  readonly failureRate: number;
  readonly shared: SharedPool;
  /** Its agent leaves words in the pool that hosts share. */
  readonly leavesBeats: boolean;
  /** Breaks a rule of the agent on purpose. */
  readonly mutation?: HostMutation;
  /** @param disk on its own pool; null: on one that hosts share. */
  readonly onMachineDiskRemoved: (vmId: string, disk: MachineDisk | null) => void;
  /** What runs or lies on it has changed. */
  readonly onChange: (host: SimulatedHost) => void;
  /** It has put its goal's network in place. */
  readonly onNetwork: (host: SimulatedHost) => void;
  /** Whether it can be reached may have changed. */
  readonly onLink: (host: SimulatedHost) => void;
  /** What it offers may have changed. */
  readonly onOffer: (host: SimulatedHost) => void;
  /** A copy of this machine on another host has its disk locked. */
  readonly isLocked: (vmId: string, host: SimulatedHost) => boolean;
  /** The highest incarnation of a machine that has run anywhere. */
  readonly highestRun: (vmId: string) => number;
  /** A connection to the controller that carries bytes. */
  readonly dial: (host: SimulatedHost, path: string) => Promise<Duplex>;
  /** Other hosts' agents reach this one, and bring machines straight. */
  readonly listens: boolean;
  readonly network: HostNetwork;
  /** Something was set in motion that goes on in a later turn of the event loop. */
  readonly note: () => void;
}

/** What an agent does wrong: its planner, what it makes of its goal's network, or what is named. */
export type HostMutation =
  | { readonly plan: typeof plan }
  | { readonly network: ChangesNetwork }
  | 'takes older goals'
  | 'does not look at who has the disk'
  | 'lets run what comes with its disk'
  | 'does not flush what was copied';

/** What frames to and from a host suffer on their way. */
export interface Weather {
  /** They take up to so many ms more, and overtake each other. */
  lateMs: number;
  /** Each may come a second time. */
  duplicated: boolean;
}
