import { blobsOf } from '../../protocol/index.ts';
import { chainOf, digestOfBlob } from '../chains.ts';
import type { Finding } from '../findings.ts';
import type { DoctorWorld, Rule } from '../world.ts';

/** Blobs that nothing on this host needs, nor will as far as the goal tells. */
export const unneededBlobs: Rule<Finding> = (world) => {
  const needed = neededBlobs(world);
  if (needed === null) return [];
  const sizes = new Map<string, number>();
  for (const { digest, sizeBytes } of world.blobs)
    if (!needed.has(digest)) sizes.set(digest, (sizes.get(digest) ?? 0) + sizeBytes);
  return [...sizes].map(([digest, bytes]) => ({
    kind: 'unneeded-blob',
    subject: digest,
    severity: 'note',
    message: `${Math.ceil(bytes / 2 ** 20)} MiB in the image cache that no VM here needs`,
    repair: { kind: 'remove-blob', digest },
  }));
};

/**
 * Digests that must stay: what the goal names, and whatever lies below a disk of ours or is used by any domain, whether a goal
 * names that or not. Null: there is no goal, so nothing is known to be unneeded.
 */
export function neededBlobs(world: DoctorWorld): ReadonlySet<string> | null {
  const { goal, blobFolder } = world;
  if (goal === null) return null;
  const named = goal.vms.flatMap(({ image, workload }) => [...blobsOf(image), workload.package]);
  const tops = [...world.disks.map(({ path }) => path), ...world.domains.flatMap(({ files }) => files)];
  const used = tops.flatMap((top) =>
    chainOf(world.headers, top).map(({ path }) => digestOfBlob(blobFolder, path)),
  );
  return new Set([
    ...[...named, ...goal.prefetch].flatMap((blob) => blob?.digest ?? []),
    ...used.filter((digest) => digest !== null),
  ]);
}
