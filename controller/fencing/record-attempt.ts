import type { FenceDevice } from '../../agent/protocol/index.ts';
import type { FencingRecord, HostRecord, Proof } from '../model/records.ts';
import { change, read } from '../store/change.ts';
import type { Store } from '../store/contract.ts';
import type { FenceRequest } from './contract.ts';
import { withProof } from './storage-records.ts';

export type Attempt = FencingRecord['attempts'][number];

const MOST_KEPT = 20;

/**
 * Appends the attempt to the host's record, with the proof if it is one, provided that the host is still down and has been
 * all along: both are one transaction, so that no proof outlives the death that it is of.
 * @param shutOut the attempt was a storage fence's, and succeeded: which storage, it says nothing of the host's power.
 * @returns false, and nothing is written, when the host is not down any more, or went down another time.
 */
export function recordAttempt(
  store: Store,
  { host, downSinceMs }: Pick<FenceRequest, 'host' | 'downSinceMs'>,
  attempt: Attempt,
  shutOut?: { readonly device: FenceDevice; readonly cluster: string },
): Promise<boolean> {
  return change(store, async () => {
    const { value, check } = await read<HostRecord>(store, `hosts/${host}`);
    if (value?.state !== 'down' || value.stateSinceMs !== downSinceMs) return { answer: false };
    const fencing = await read<FencingRecord>(store, `fencing/${host}`);
    const before = fencing.value?.downSinceMs === downSinceMs ? fencing.value : null;
    const record: FencingRecord = {
      host,
      downSinceMs,
      attempts: [...(before?.attempts ?? []), attempt].slice(-MOST_KEPT),
      tried: (before?.tried ?? 0) + 1,
      proof: before?.proof ?? (shutOut ? null : proofOf(host, attempt)),
      ...withProof(fencing.value?.storage, value, downSinceMs, attempt, shutOut),
    };
    return {
      answer: true,
      transaction: { checks: [check, fencing.check], puts: [{ key: fencing.check.key, value: record }] },
    };
  });
}

const proofOf = (host: string, { off, atMs, ms, device }: Attempt): Proof | null =>
  off ? { kind: 'fence-device', host, atMs: atMs + ms, detail: `${device} says that it is off` } : null;
