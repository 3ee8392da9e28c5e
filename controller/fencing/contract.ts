import type { FenceDevice } from '../../agent/protocol/index.ts';
import type { StorageFence } from '../model/records.ts';

/** A host whose death has to be proven before what it had may be started elsewhere. */
export interface FenceRequest {
  readonly host: string;
  /** When it went down: with this the answer is matched. */
  readonly downSinceMs: number;
  /** In the order in which they are to be tried. */
  readonly devices: readonly FenceDevice[];
}

/** A host that is alive, and has nothing left of what lives elsewhere: the storage is to let it in again. */
export interface LiftRequest {
  readonly host: string;
  readonly fence: StorageFence;
}

/** What one device said when it was asked how its host's power is. */
export interface DeviceTest {
  /** `fence_ipmilan (1 of 2)` */
  readonly device: string;
  readonly ok: boolean;
  /** Null when the device did not say. */
  readonly power: 'on' | 'off' | null;
  /** What it answered, or why it did not; one line, no secrets. */
  readonly message: string;
  readonly ms: number;
}

/** Cuts the power of hosts that are down, and writes the proof into their `fencing/{host}` record. */
export interface Fencer {
  /**
   * All hosts that are to be fenced now. Called again and again with the whole truth: what is not named any more is tried no
   * further, what is named twice is fenced once. Never throws; what goes wrong is in the record.
   */
  want(requests: readonly FenceRequest[], lifts?: readonly LiftRequest[]): void;
  /** Asks each device for the power's state; changes nothing. */
  test(devices: readonly FenceDevice[]): Promise<readonly DeviceTest[]>;
  /** Begins nothing more and resolves when the attempt under way has ended or was ended. */
  close(): Promise<void>;
}
