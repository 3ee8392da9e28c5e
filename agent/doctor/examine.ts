import { type Finding, keyOf, SEVERITIES } from './findings.ts';
import { brokenChains } from './rules/broken-chains.ts';
import { emptyFolders } from './rules/empty-folders.ts';
import { guards } from './rules/guards.ts';
import { halfMadeDisks } from './rules/half-made-disks.ts';
import { loneBridges, loneTables } from './rules/lone-links.ts';
import { loneOwners } from './rules/lone-owners.ts';
import { lowSpace } from './rules/low-space.ts';
import { staleSeeds } from './rules/stale-seeds.ts';
import { unnamed } from './rules/unnamed.ts';
import { unneededBlobs } from './rules/unneeded-blobs.ts';
import { unneededImages } from './rules/unneeded-images.ts';
import { wrongBlobs } from './rules/wrong-blobs.ts';
import type { DoctorLimits, DoctorWorld, Rule } from './world.ts';

const RULES: readonly Rule<Finding>[] = [
  brokenChains,
  wrongBlobs,
  guards,
  lowSpace,
  unnamed,
  halfMadeDisks,
  loneOwners,
  staleSeeds,
  emptyFolders,
  unneededBlobs,
  unneededImages,
  loneBridges,
  loneTables,
];

/**
 * What is not as it should be on this host, the worst first. Pure. Nothing that is not this fleet's is ever to be repaired, and
 * never a disk of a machine.
 */
export function examine(world: DoctorWorld, nowMs: number, limits: DoctorLimits): readonly Finding[] {
  const found = new Map(
    RULES.flatMap((rule) => rule(world, nowMs, limits)).map((finding) => [keyOf(finding), finding]),
  );
  return [...found.values()].sort(
    (one, other) => SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity),
  );
}
