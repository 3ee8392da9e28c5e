import { COPIES_DISKS, MIGRATES_CEPH, MIGRATES_LIVE } from '../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../model/records.ts';
import type { Draft } from './draft.ts';
import { locksDisks, sharedPoolOf } from './shared-pools.ts';

/** After so many tries that failed a machine that may be stopped for its move is. */
export const LIVE_TRIES = 2;

const RUNS: ReadonlySet<VmRecord['state']> = new Set(['booting', 'starting', 'ready', 'unready']);

/** Why a machine cannot leave its host while it runs; null: it can. */
export function whyNotFrom(draft: Draft, record: VmRecord, host: HostRecord): string | null {
  if (!RUNS.has(record.state)) return `it is ${record.state}, so there is nothing to be moved while it runs`;
  if (!canDo(draft, host.name, MIGRATES_LIVE))
    return `the agent of ${host.name} is too old to hand it over while it runs`;
  if (isUnlocked(host, record.pool) && !canDo(draft, host.name, MIGRATES_CEPH))
    return `the agent of ${host.name} is too old to hand over a machine while it runs whose disk is in Ceph`;
  const { stay } = record;
  return stay && stay.failures >= LIVE_TRIES ? stay.message : null;
}

/** Its disk is one that other hosts have as well, and that no lock keeps two from writing. */
export function isUnlocked(host: HostRecord, pool: string): boolean {
  const shared = sharedPoolOf(host, pool);
  return shared !== undefined && !locksDisks(shared);
}

/** Why a machine cannot leave its host while it runs, with a copy of its disk; null: it can. */
export function whyNotCopiedFrom(draft: Draft, record: VmRecord, host: HostRecord): string | null {
  if (!canDo(draft, host.name, COPIES_DISKS)) return `the agent of ${host.name} is too old to copy its disk`;
  return whyNotFrom(draft, record, host);
}

/** Why its disk cannot be copied to that host. */
function whyNotCopiedTo(draft: Draft, pool: string, to: HostRecord): string | null {
  if (!canDo(draft, to.name, COPIES_DISKS))
    return `the agent of ${to.name} is too old to take a copy of its disk`;
  return to.offer?.pools.some(({ name, kind }) => name === pool && kind === 'local')
    ? null
    : `pool ${pool} of ${to.name} is no local one, and disks are copied to none but such`;
}

/** Other hosts that cannot take it over with a copy of its disk, each with the reason. */
export const unfitForCopy = (draft: Draft, record: VmRecord, from: HostRecord): ReadonlyMap<string, string> =>
  unfitAmong(draft, from, (to) => whyNotCopiedTo(draft, record.pool, to) ?? whyNotTo(draft, from, to));

/** Why it cannot go to that host while it runs; null: it can, as far as can be told before it is tried. */
export function whyNotTo(draft: Draft, from: HostRecord, to: HostRecord): string | null {
  if (!canDo(draft, to.name, MIGRATES_LIVE))
    return `the agent of ${to.name} is too old to take it over while it runs`;
  const [here, there] = [from.facts, to.facts];
  if (!here || !there) return `it is not known what ${to.name} can do`;
  if (here.accelerator.kind !== there.accelerator.kind)
    return `${from.name} runs guests with ${here.accelerator.kind}, ${to.name} with ${there.accelerator.kind}`;
  const differs = here.cpu?.model !== there.cpu?.model || here.cpu?.features !== there.cpu?.features;
  // An emulated processor is the same everywhere.
  if (here.accelerator.kind === 'kvm' && differs)
    return `the processor of ${to.name} (${there.cpu?.model ?? 'unknown'}) is another one than that of ${from.name} (${here.cpu?.model ?? 'unknown'})`;
  return isOlder(there.qemuVersion, here.qemuVersion)
    ? `QEMU ${there.qemuVersion} of ${to.name} is older than ${here.qemuVersion} of ${from.name}`
    : null;
}

/** Other hosts with the very pool that cannot take it over while it runs, each with the reason. */
export function unfitHosts(draft: Draft, record: VmRecord, from: HostRecord): ReadonlyMap<string, string> {
  const id = sharedPoolOf(from, record.pool)?.id;
  return unfitAmong(draft, from, (to) =>
    sharedPoolOf(to, record.pool)?.id === id
      ? (whyNotUnlockedTo(draft, record.pool, to) ?? whyNotTo(draft, from, to))
      : null,
  );
}

function whyNotUnlockedTo(draft: Draft, pool: string, to: HostRecord): string | null {
  return isUnlocked(to, pool) && !canDo(draft, to.name, MIGRATES_CEPH)
    ? `the agent of ${to.name} is too old to take over a machine while it runs whose disk is in Ceph`
    : null;
}

/** @param whyNot null: it is fit, or of no account. */
function unfitAmong(
  draft: Draft,
  from: HostRecord,
  whyNot: (to: HostRecord) => string | null,
): ReadonlyMap<string, string> {
  const unfit = new Map<string, string>();
  for (const to of draft.all('hosts')) {
    const why = to.name === from.name ? null : whyNot(to);
    if (why !== null) unfit.set(to.name, why);
  }
  return unfit;
}

const canDo = (draft: Draft, host: string, capability: string): boolean =>
  draft.world.live.get(host)?.hello?.capabilities.includes(capability) === true;

/** By numbers, part by part; what is no version is older than nothing. */
function isOlder(one: string, other: string): boolean {
  const [left, right] = [one, other].map((version) => version.split('.').map(Number));
  for (const [index, part] of (left ?? []).entries()) {
    const against = right?.[index] ?? 0;
    if (!(part === against)) return part < against;
  }
  return false;
}
