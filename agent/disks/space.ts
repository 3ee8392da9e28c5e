import { statfs } from 'node:fs/promises';

/** Of the file system that a path is on, MiB. Free is what a user without privileges may still write. */
export async function spaceAt(path: string): Promise<{ freeMiB: number; totalMiB: number }> {
  const { bavail, blocks, bsize } = await statfs(path);
  const inMiB = (count: number) => Math.floor((count * bsize) / 2 ** 20);
  return { freeMiB: inMiB(bavail), totalMiB: inMiB(blocks) };
}
