import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { canonicalPrefix, formatAddress, overlap, range6Of } from '../../agent/kit/addressing.ts';
import { writeFileAtomic } from '../../agent/kit/atomic-file.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { parsePublicRange } from '../model/public-ranges.ts';
import type { FleetRecord } from '../model/records.ts';
import type { Store } from '../store/contract.ts';
import type { RevisionMark } from './revision-mark.ts';

const RANGE = '10.128.0.0/10';

/**
 * The fleet's record. A copy lies beside the authority's keys, so that a store that was lost or restored is noticed: the
 * fleet keeps its UUID, its epoch grows, and hosts obey only the newer one.
 * @param guestRange what was asked for; null: what it has. @throws `conflict` when guests have addresses of another range.
 * @param publicRanges as they are configured now. @throws `usage` when one is on a link of guests.
 * @param mark up to which revision hosts were told; null: that is not kept.
 */
export async function openFleet(
  store: Store,
  copyFile: string,
  guestRange: string | null = null,
  publicRanges: readonly string[] = [],
  mark: RevisionMark | null = null,
): Promise<FleetRecord> {
  const stored = (await store.get('fleet'))?.value as FleetRecord | undefined;
  const copy = await readCopy(copyFile);
  const revision = await store.revision();
  const isOld = mark?.isBehind(revision) === true;
  const { public: _before, ...decided } = await withRange(
    store,
    decide(stored ?? null, copy, isOld),
    guestRange,
  );
  for (const range of publicRanges) requireApart(range, decided);
  const fleet: FleetRecord = publicRanges.length === 0 ? decided : { ...decided, public: publicRanges };
  if (JSON.stringify(copy) !== JSON.stringify(fleet))
    await writeFileAtomic(copyFile, `${JSON.stringify(fleet)}\n`);
  if (JSON.stringify(stored) !== JSON.stringify(fleet))
    await store.transact({ puts: [{ key: 'fleet', value: fleet }] });
  // Last: until the new epoch is durable it is to be noticed again.
  if (isOld) mark?.begin(revision);
  return fleet;
}

/**
 * A host has obeyed goals that this store knows nothing of: it is older than that.
 * @param above the epoch that the host obeys. @returns the fleet's new one, which is durable.
 */
export async function raiseEpoch(store: Store, copyFile: string, above: number): Promise<number> {
  const stored = (await store.get('fleet'))?.value as FleetRecord;
  const copy = await readCopy(copyFile);
  const fleet = { ...stored, epoch: Math.max(stored.epoch, copy?.epoch ?? 0, above) + 1 };
  await writeFileAtomic(copyFile, `${JSON.stringify(fleet)}\n`);
  await store.transact({ puts: [{ key: 'fleet', value: fleet }] });
  return fleet.epoch;
}

/** @param isOld the store has been at a higher revision. */
function decide(stored: FleetRecord | null, copy: FleetRecord | null, isOld: boolean): FleetRecord {
  if (stored && copy) {
    if (stored.epoch < copy.epoch) return { ...copy, epoch: copy.epoch + 1 };
    return isOld ? { ...stored, epoch: stored.epoch + 1 } : stored;
  }
  if (copy) return { ...copy, epoch: copy.epoch + 1 };
  return stored ?? { uuid: randomUUID(), epoch: 1, range: RANGE };
}

/** Public addresses are of the hosts' own link: with the guests' on it as well, either would be in the way of the other. */
function requireApart(text: string, { range, uuid }: FleetRecord): void {
  const parsed = parsePublicRange(text);
  if (!parsed) return;
  const link = `${formatAddress(parsed.family, parsed.first)}/${parsed.prefix}`;
  const guests = [range, range6Of(uuid)].find((each) => overlap(each, link));
  if (guests !== undefined)
    throw new WeftError('usage', `--public ${text} is of a link that overlaps ${guests}, the guests’ range`, {
      remedy: 'Name addresses of the hosts’ own network, or choose another --guest-range.',
    });
}

async function withRange(store: Store, found: FleetRecord, range: string | null): Promise<FleetRecord> {
  // Older controllers took 10.128.0.0/010 as it was.
  const fleet = { ...found, range: canonicalPrefix(found.range) ?? found.range };
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
