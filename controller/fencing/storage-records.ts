import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { FenceDevice } from '../../agent/protocol/index.ts';
import type { FencingRecord, HostRecord, StorageFence } from '../model/records.ts';
import { change, read } from '../store/change.ts';
import type { Store } from '../store/contract.ts';
import type { FenceRequest } from './contract.ts';

type Storage = FencingRecord['storage'];

const rbdPools = ({ offer }: HostRecord) => offer?.pools.filter(({ kind }) => kind === 'rbd') ?? [];

const without = (storage: Storage, device: FenceDevice) =>
  (storage ?? []).filter((each) => !isSameDocument(each.device, device));

/** The storage fences of a host after an attempt; with a proof where it was one, and succeeded. */
export function withProof(
  storage: Storage,
  host: HostRecord,
  downSinceMs: number,
  { atMs, ms, device: label }: FencingRecord['attempts'][number],
  shutOut: { readonly device: FenceDevice; readonly cluster: string } | undefined,
): Pick<FencingRecord, 'storage'> {
  if (!shutOut) return storage ? { storage } : {};
  const { device, cluster } = shutOut;
  const proven: StorageFence = {
    device,
    downSinceMs,
    pools: rbdPools(host).flatMap(({ id, cluster: of }) => (id !== undefined && of === cluster ? [id] : [])),
    proof: {
      kind: 'storage-fence',
      host: host.name,
      atMs: atMs + ms,
      detail: `${label} has shut it out of Ceph cluster ${cluster}`,
    },
  };
  return { storage: [...without(storage, device), proven] };
}

/**
 * Writes down that the host may be shut out from now on. Before the storage is told: whatever becomes of this controller, the host
 * is let in again.
 * @returns false, and nothing is written, when the host is not down any more, or went down another time.
 */
export function beginStorageFence(
  store: Store,
  { host, downSinceMs }: Pick<FenceRequest, 'host' | 'downSinceMs'>,
  device: FenceDevice,
): Promise<boolean> {
  return change(store, async () => {
    const { value, check } = await read<HostRecord>(store, `hosts/${host}`);
    if (value?.state !== 'down' || value.stateSinceMs !== downSinceMs) return { answer: false };
    const fencing = await read<FencingRecord>(store, `fencing/${host}`);
    const before = fencing.value;
    const known = before?.storage?.find((each) => isSameDocument(each.device, device));
    if (known?.downSinceMs === downSinceMs && !known.lifted) return { answer: true };
    const isSameDeath = before?.downSinceMs === downSinceMs;
    const pools = rbdPools(value).flatMap(({ id }) => id ?? []);
    const record: FencingRecord = {
      host,
      downSinceMs,
      attempts: isSameDeath ? before.attempts : [],
      tried: isSameDeath ? before.tried : 0,
      proof: isSameDeath ? before.proof : null,
      storage: [...without(before?.storage, device), { device, downSinceMs, pools, proof: null }],
    };
    return {
      answer: true,
      transaction: { checks: [check, fencing.check], puts: [{ key: fencing.check.key, value: record }] },
    };
  });
}

/** Whether this very fence still stands on the record. */
export async function stands(store: Store, host: string, fence: StorageFence): Promise<boolean> {
  const { value } = await read<FencingRecord>(store, `fencing/${host}`);
  return value?.storage?.some((each) => isSameDocument(each, fence)) === true;
}

/** The storage has let the host in again; what follows from that is the reconciler's. */
export function noteLifted(store: Store, host: string, fence: StorageFence, wasOut: boolean): Promise<void> {
  return change(store, async () => {
    const { value, check } = await read<FencingRecord>(store, `fencing/${host}`);
    if (!value?.storage?.some((each) => isSameDocument(each, fence))) return { answer: undefined };
    const storage = value.storage.map((each) =>
      isSameDocument(each, fence) ? { ...each, lifted: true, ...(wasOut ? {} : { wasNever: true }) } : each,
    );
    return {
      answer: undefined,
      transaction: { checks: [check], puts: [{ key: check.key, value: { ...value, storage } }] },
    };
  });
}
