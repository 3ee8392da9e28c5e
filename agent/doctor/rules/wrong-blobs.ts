import { chainOf, digestOfBlob } from '../chains.ts';
import type { Finding } from '../findings.ts';
import type { DoctorWorld, Rule } from '../world.ts';

/** Layers below disks that are not what their names say: another size than the goal's, or, where they were read again, other bytes. */
export const wrongBlobs: Rule<Finding> = (world) => {
  const sizes = sizesOf(world);
  return [...usersOf(world)].flatMap(([path, vmIds]): Finding[] => {
    const digest = digestOfBlob(world.blobFolder, path);
    const sizeBytes = world.headers.get(path)?.sizeBytes;
    if (digest === null || sizeBytes === undefined) return [];
    const wanted = sizes.get(digest);
    const isDamaged = world.damaged.has(digest);
    if (!isDamaged && (wanted === undefined || wanted === sizeBytes)) return [];
    const what = isDamaged
      ? 'has other bytes than its digest says'
      : `has ${sizeBytes} bytes instead of ${wanted}`;
    return [
      {
        kind: 'wrong-blob',
        subject: path,
        severity: 'error',
        message: `a layer that is not what it was: it ${what}; on it lie the disks of ${[...vmIds].sort().join(', ')}`,
        remedy: 'Stop those VMs and remove the file: the layer is fetched again when they start.',
        repair: null,
      },
    ];
  });
};

function usersOf({ disks, headers }: DoctorWorld): ReadonlyMap<string, ReadonlySet<string>> {
  const users = new Map<string, Set<string>>();
  for (const disk of disks)
    for (const { path } of chainOf(headers, disk.path).slice(1))
      users.set(path, (users.get(path) ?? new Set()).add(disk.vmId));
  return users;
}

const sizesOf = ({ goal }: DoctorWorld): ReadonlyMap<string, number> =>
  new Map(
    [...(goal?.vms.flatMap(({ image }) => image.layers) ?? []), ...(goal?.prefetch ?? [])].map(
      ({ digest, sizeBytes }) => [digest, sizeBytes],
    ),
  );
