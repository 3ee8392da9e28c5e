import { open, stat } from 'node:fs/promises';
import { readBackingFile } from '../../disks/backing-file.ts';
import { LONGEST_CHAIN } from '../chains.ts';
import type { ImageHeader } from '../world.ts';

const MAGIC = 'QFI\xfb';

/** Headers of these images and of all that they say lies below them. */
export async function lookAtHeaders(
  tops: Iterable<string>,
): Promise<ReadonlyMap<string, ImageHeader | null>> {
  const headers = new Map<string, ImageHeader | null>();
  const wanted = [...new Set(tops)];
  for (const top of wanted) {
    let path: string | null = top;
    for (let depth = 0; path !== null && !headers.has(path) && depth < LONGEST_CHAIN; depth++) {
      const header: ImageHeader | null = await readHeader(path);
      headers.set(path, header);
      path = header?.backing ?? null;
    }
  }
  return headers;
}

/** Null: there is no such file. Only regular files are opened: a domain may name a device or a pipe. */
async function readHeader(path: string): Promise<ImageHeader | null> {
  if (!path.startsWith('/')) return null;
  try {
    const found = await stat(path);
    if (!found.isFile()) return { isQcow2: false, backing: null, sizeBytes: 0 };
    const file = await open(path, 'r');
    try {
      const magic = Buffer.alloc(MAGIC.length);
      await file.read(magic, 0, magic.length, 0);
      const isQcow2 = magic.toString('latin1') === MAGIC;
      return { isQcow2, backing: isQcow2 ? await readBackingFile(path) : null, sizeBytes: found.size };
    } finally {
      await file.close();
    }
  } catch {
    return null;
  }
}
