import type { Readable } from 'node:stream';
import type { VmSecrets } from '../protocol/index.ts';

/** What the rest of the agent may ask of the controller, beside the goal that is pushed to it. */
export interface ControllerLink {
  /**
   * Bytes of a blob from `fromByte` on (HTTP Range).
   * @throws WeftError `not-found`, `host-unreachable` (the controller does not answer; try again with back-off).
   */
  openBlob(
    digest: string,
    fromByte: number,
    signal: AbortSignal,
  ): Promise<{ stream: Readable; totalBytes: number }>;
  fetchSecrets(vmId: string, incarnation: number, signal: AbortSignal): Promise<VmSecrets>;
}
