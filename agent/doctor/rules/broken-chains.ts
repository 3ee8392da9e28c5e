import { basename } from 'node:path';
import type { DiskView } from '../../disks/contract.ts';
import { chainOf, digestOfBlob, LONGEST_CHAIN, layerPath } from '../chains.ts';
import type { Finding } from '../findings.ts';
import type { DoctorWorld, Rule } from '../world.ts';

/** Disks that do not lie on the layers that they must lie on. Never repaired: what is below a disk is half of its content. */
export const brokenChains: Rule<Finding> = (world) =>
  world.disks
    .filter((disk) => isHere(world, disk) && !isGoing(world, disk))
    .flatMap((disk): Finding[] => {
      const what = fault(world, disk);
      if (what === null) return [];
      return [
        {
          kind: 'broken-chain',
          subject: disk.path,
          severity: 'error',
          message: `the disk of ${disk.vmId} ${what.message}`,
          remedy: what.remedy,
          repair: null,
        },
      ];
    });

/** A disk in a pool that hosts share may be another host's, and its layers in that host's cache. */
const isHere = ({ poolKinds, goal, domains }: DoctorWorld, { pool, vmId, path }: DiskView) =>
  poolKinds[pool] === 'local' ||
  goal?.vms.some((vm) => vm.id === vmId) === true ||
  domains.some(({ mark, files }) => mark !== null && files.includes(path));

/** An instance's overlay goes with its incarnation: what it lies on matters no more. */
const isGoing = ({ goal }: DoctorWorld, { kind, vmId, incarnation }: DiskView) =>
  kind === 'instance' &&
  goal !== null &&
  !goal.vms.some((vm) => vm.id === vmId && vm.incarnation === incarnation);

function fault(world: DoctorWorld, disk: DiskView): { message: string; remedy: string } | null {
  const chain = chainOf(world.headers, disk.path);
  const [top, ...below] = chain;
  if (!top?.header) return null;
  const start =
    disk.kind === 'machine'
      ? 'Stop the machine, and restore its disk.'
      : `Start it anew: weft reimage ${disk.vmId}`;
  if (!top.header.isQcow2)
    return { message: 'is no qcow2: something has overwritten its head', remedy: start };
  const wanted = layerOf(world, disk);
  const found = below[0]?.path ?? null;
  if (found === null) return wasRestored(world, disk) ? null : { message: 'lies on no layer', remedy: start };
  if (wanted !== null && found !== wanted)
    return {
      message: `lies on ${basename(found)}, and its image's layer is ${basename(wanted)}`,
      remedy: 'Import the image version again that it was made from, and name that one in the model.',
    };
  for (const { path, header } of below) {
    if (digestOfBlob(world.blobFolder, path) === null)
      return { message: `lies on ${path}, which is no layer of this host's cache`, remedy: start };
    if (header === null)
      return {
        message: `lies on ${basename(path)}, which is not there`,
        remedy: 'Start the VM: the layer is fetched again if the controller still has its image.',
      };
  }
  const last = chain.at(-1)?.header?.backing ?? null;
  if (last !== null || chain.length >= LONGEST_CHAIN)
    return { message: 'lies on layers that lie on each other in a circle', remedy: start };
  return null;
}

/** What was made from a backup is whole by itself. Of a machine that was adopted only what is written beside its disk tells. */
const wasRestored = ({ goal, restored }: DoctorWorld, { vmId, path }: DiskView) =>
  restored.has(path) || goal?.vms.some(({ id, restore }) => id === vmId && restore !== undefined) === true;

/** Null: the goal does not say. */
function layerOf({ goal, blobFolder }: DoctorWorld, { vmId, incarnation }: DiskView): string | null {
  const vm = goal?.vms.find(({ id }) => id === vmId);
  const digest = vm?.image.layers.at(-1)?.digest;
  if (!vm || digest === undefined || (incarnation !== null && incarnation !== vm.incarnation)) return null;
  return layerPath(blobFolder, digest);
}
