import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../../agent/kit/atomic-file.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import type { FleetRecord } from '../model/records.ts';
import type { Store } from '../store/contract.ts';

const RANGE = '10.128.0.0/10';

/**
 * The fleet's record. A copy lies beside the authority's keys, so that a store that was lost or restored is noticed: the
 * fleet keeps its UUID, its epoch grows, and hosts obey only the newer one.
 * @param guestRange what was asked for; null: what it has. @throws `conflict` when guests have addresses of another range.
 * @param publicRanges as they are configured now.
 */
export async function openFleet(
  store: Store,
  copyFile: string,
  guestRange: string | null = null,
  publicRanges: readonly string[] = [],
): Promise<FleetRecord> {
  const stored = (await store.get('fleet'))?.value as FleetRecord | undefined;
  const copy = await readCopy(copyFile);
  const { public: _before, ...made } = await withRange(store, decide(stored ?? null, copy), guestRange);
  const fleet: FleetRecord = publicRanges.length === 0 ? made : { ...made, public: publicRanges };
  if (JSON.stringify(copy) !== JSON.stringify(fleet))
    await writeFileAtomic(copyFile, `${JSON.stringify(fleet)}\n`);
  if (JSON.stringify(stored) !== JSON.stringify(fleet))
    await store.transact({ puts: [{ key: 'fleet', value: fleet }] });
  return fleet;
}

export function decide(stored: FleetRecord | null, copy: FleetRecord | null): FleetRecord {
  if (stored && copy) return stored.epoch < copy.epoch ? { ...copy, epoch: copy.epoch + 1 } : stored;
  if (copy) return { ...copy, epoch: copy.epoch + 1 };
  return stored ?? { uuid: randomUUID(), epoch: 1, range: RANGE };
}

async function withRange(store: Store, fleet: FleetRecord, range: string | null): Promise<FleetRecord> {
  if (range === null || range === fleet.range) return fleet;
  const { entries } = await store.list('networks/');
  const [first] = entries;
  if (!first) return { ...fleet, range };
  const name = first.key.slice('networks/'.length);
  throw new WeftError(
    'conflict',
    `the guests’ range cannot become ${range}: networks have addresses of ${fleet.range}, ${name} is one`,
    { remedy: `Start with --guest-range ${fleet.range}, or delete all applications first.` },
  );
}

async function readCopy(file: string): Promise<FleetRecord | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as FleetRecord;
  } catch {
    return null;
  }
}
