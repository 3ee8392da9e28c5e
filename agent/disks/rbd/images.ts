import { z } from 'zod';
import { exec } from '../../kit/exec.ts';
import { type CephClient, isMissing, isThereAlready, qemuName } from './ceph-client.ts';
import { GOLDEN_SNAPSHOT, halfMadeGolden } from './names.ts';

const MIB = 2 ** 20;
/** A golden image is copied into the cluster once. */
const IMPORT_LIMIT_MS = 3_600_000;
/** What clones have of Ceph's features. The lock tells two clients of an image of each other; it keeps none from writing. */
const FEATURES = 'layering,exclusive-lock';

const imageInfo = z.object({
  id: z.string(),
  size: z.number(),
  parent: z.object({ pool: z.string(), image: z.string(), snapshot: z.string() }).optional(),
});
export type ImageInfo = z.infer<typeof imageInfo>;

const lockers = z.array(z.object({ id: z.string(), locker: z.string() }));

/** Null: there is no such image. */
export async function infoOf(client: CephClient, image: string): Promise<ImageInfo | null> {
  try {
    return imageInfo.parse(JSON.parse(await client.rbd('info', client.spec(image), '--format', 'json')));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/**
 * What QEMU's tools read a chain of layers by. Each is named with what it lies on: nothing is left to a header's word.
 * @param layers top first.
 */
export function chainName(layers: readonly string[]): string {
  const nested = layers.reduceRight<unknown>(
    (backing, filename) => ({ driver: 'qcow2', file: { driver: 'file', filename }, backing }),
    null,
  );
  return `json:${JSON.stringify(nested)}`;
}

/**
 * Brings an image into the pool, unless it is there: under another name, which becomes its own when it is whole and its snapshot
 * protected. Two hosts may do it at once; one of them then throws its own away.
 */
export async function ensureGolden(
  client: CephClient,
  host: string,
  image: string,
  layers: readonly string[],
): Promise<void> {
  if (await infoOf(client, image)) return;
  const temporary = halfMadeGolden(host, image);
  await removeGolden(client, temporary);
  await convert(client, chainName(layers), temporary);
  await client.rbd('snap', 'create', client.spec(temporary, GOLDEN_SNAPSHOT), '--no-progress');
  await client.rbd('snap', 'protect', client.spec(temporary, GOLDEN_SNAPSHOT));
  try {
    await client.rbd('rename', client.spec(temporary), client.spec(image));
  } catch (error) {
    if (!isThereAlready(error)) throw error;
    await removeGolden(client, temporary);
  }
}

/** A whole disk, from one that a file holds. */
export async function importWhole(client: CephClient, file: string, image: string): Promise<void> {
  await removeImage(client, image);
  await convert(client, chainName([file]), image);
}

export async function clone(client: CephClient, golden: string, image: string): Promise<void> {
  await removeImage(client, image);
  await client.rbd(
    'clone',
    client.spec(golden, GOLDEN_SNAPSHOT),
    client.spec(image),
    '--image-feature',
    FEATURES,
  );
}

/** Grows, and never shrinks. */
export async function growTo(client: CephClient, image: string, sizeBytes: number): Promise<void> {
  const size = (await infoOf(client, image))?.size ?? 0;
  if (size >= sizeBytes) return;
  const mib = String(Math.ceil(sizeBytes / MIB));
  await client.rbd('resize', client.spec(image), '--size', `${mib}M`, '--no-progress');
}

/** One that is not there is removed already. */
export async function removeImage(client: CephClient, image: string): Promise<void> {
  try {
    await client.rbd('rm', client.spec(image), '--no-progress');
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function removeGolden(client: CephClient, image: string): Promise<void> {
  if (!(await infoOf(client, image))) return;
  // It may not have come as far as a snapshot, or its protection.
  await client.rbd('snap', 'unprotect', client.spec(image, GOLDEN_SNAPSHOT)).catch(() => undefined);
  await client.rbd('snap', 'purge', client.spec(image), '--no-progress');
  await removeImage(client, image);
}

/**
 * Breaks what earlier clients hold of an image, which also blocklists each of those very clients: a host that is dead would hold
 * the next one up until its lock is found to be idle. Only for who takes the disk over by a proof.
 */
export async function breakLocks(client: CephClient, image: string): Promise<void> {
  const held = lockers.parse(
    JSON.parse(await client.rbd('lock', 'ls', client.spec(image), '--format', 'json')),
  );
  for (const { id, locker } of held) {
    try {
      await client.rbd('lock', 'rm', client.spec(image), id, locker);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}

async function convert(client: CephClient, source: string, image: string): Promise<void> {
  await exec('qemu-img', ['convert', '-q', '-O', 'raw', source, qemuName(client.pool, image)], {
    timeoutMs: IMPORT_LIMIT_MS,
  });
}
