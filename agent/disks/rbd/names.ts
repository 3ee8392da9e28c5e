import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { WeftError } from '../../kit/errors.ts';
import { VM_ID_PATTERN } from '../../kit/names.ts';

/** Names of images and objects in a pool of Ceph's. Neither hosts, applications nor machines have a dot in their names. */

/** Whose pool it is, and which one. */
export const MARK_OBJECT = 'weft-pool';
/** Carries short locks by which a host learns under which address Ceph sees it. */
export const SEEN_OBJECT = 'weft-seen';
/** Ceph's own list of images that are in the trash. */
export const TRASH_OBJECT = 'rbd_trash';
/** The one snapshot of a golden image, which machines' disks are clones of. */
export const GOLDEN_SNAPSHOT = 'golden';

const MACHINE = 'machine.';

const dotted = (vmId: string): string => {
  if (!VM_ID_PATTERN.test(vmId)) throw new WeftError('bad-request', `no VM is called ${vmId}`);
  return vmId.replace('/', '.');
};

export const machineImage = (vmId: string) => `${MACHINE}${dotted(vmId)}`;

/** Which machine's disk an image is; null: it is none. */
export function machineOf(image: string): string | null {
  if (!image.startsWith(MACHINE)) return null;
  const vmId = image.slice(MACHINE.length).replace('.', '/');
  return VM_ID_PATTERN.test(vmId) ? vmId : null;
}

/** Who has a machine's disk. */
export const ownerObject = (vmId: string) => `owner.${dotted(vmId)}`;

/** Under these a host makes something; what is whole is renamed. A host makes one thing of a name at a time. */
export const halfMadeDisk = (host: string, vmId: string) => `making.${host}.${dotted(vmId)}`;
export const replacedDisk = (host: string, vmId: string) => `replaced.${host}.${dotted(vmId)}`;
export const halfMadeGolden = (host: string, golden: string) => `importing.${host}.${golden}`;

/** @param layers files of the cache, named by their digests, top first: what they hold together names the image. */
export const goldenImage = (layers: readonly string[]): string =>
  goldenName(layers.map((file) => basename(file, '.qcow2')));

/** The same of an image as a goal names it: its layers with the top last. */
export const goldenOf = ({ layers }: { readonly layers: readonly { readonly digest: string }[] }): string =>
  goldenName(layers.map(({ digest }) => digest.slice('sha256:'.length)).reverse());

const goldenName = (digests: readonly string[]): string =>
  `image.${createHash('sha256').update(digests.join('\n')).digest('hex')}`;

const GOLDEN = /^image\.[0-9a-f]{64}$/;
export const isGolden = (image: string): boolean => GOLDEN.test(image);

/** Any host's. What was replaced is none of them: until the new disk is in its place it is all there is. */
export function isHalfMade(image: string): boolean {
  const [, what, rest = ''] = /^(importing|making)\.[a-z0-9-]+\.(.+)$/.exec(image) ?? [];
  return what === 'importing' ? isGolden(rest) : machineOf(`${MACHINE}${rest}`) !== null;
}
