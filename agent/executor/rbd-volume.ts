import type { RbdImage } from '../disks/contract.ts';
import type { RbdVolume } from '../hypervisor/driver.ts';
import { poolSecret } from './names.ts';

/** An image in Ceph as the hypervisor is told of it. */
export const rbdVolume = ({ name, ...image }: RbdImage, fleet: string): RbdVolume => ({
  ...image,
  secret: poolSecret(fleet, name),
});
