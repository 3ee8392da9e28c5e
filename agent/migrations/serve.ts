import type { Duplex } from 'node:stream';
import { joinStreams } from '../kit/join-streams.ts';
import type { Logger } from '../kit/log.ts';
import type { MigrationChannel, OpenStream } from '../protocol/index.ts';

export interface ServeOptions {
  /** A connection to the controller that carries bytes. */
  readonly dial: (path: string) => Promise<Duplex>;
  readonly connect: (vmId: string, incarnation: number, channel: MigrationChannel) => Promise<Duplex>;
  readonly log: Logger;
}

/** Answers the controller's wish for one connection of a migration that comes here. What cannot be had is closed. */
export async function serveMigration(
  { streamId, vmId, target }: OpenStream,
  { dial, connect, log }: ServeOptions,
): Promise<void> {
  if (target.kind !== 'migration') return;
  try {
    // First what is here: nothing is said to be open that is not.
    const near = await connect(vmId, target.incarnation, target.channel);
    near.on('error', () => undefined);
    const line = await dial(`/agent/v1/streams/${streamId}`).catch((error: unknown) => {
      near.destroy();
      throw error;
    });
    line.on('error', () => undefined);
    joinStreams(near, line);
  } catch (error) {
    log.warn({ err: error, vm: vmId, channel: target.channel }, 'a connection of a migration is not served');
  }
}
