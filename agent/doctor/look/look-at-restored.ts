import type { DiskView } from '../../disks/contract.ts';
import { ownerFile, readOwner } from '../../disks/owner.ts';
import type { DoctorWorld } from '../world.ts';

/** Machines' disks that lie on nothing because they were made from a backup. */
export async function lookAtRestored(
  disks: readonly DiskView[],
  headers: DoctorWorld['headers'],
): Promise<ReadonlySet<string>> {
  const whole = disks.filter(({ kind, path }) => kind === 'machine' && headers.get(path)?.backing === null);
  const owners = await Promise.all(whole.map(({ path }) => readOwner(ownerFile('machine', path))));
  return new Set(whole.flatMap(({ path }, index) => (owners[index]?.restored === undefined ? [] : [path])));
}
