import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { entriesOf } from '../../kit/entries.ts';
import type { BlobFile } from '../world.ts';

/** Files of the blob cache, also those that have not arrived yet. */
export async function lookAtBlobs(folder: string): Promise<readonly BlobFile[]> {
  const found = await Promise.all(
    (await entriesOf(folder)).map(async (entry): Promise<BlobFile[]> => {
      const [, hex, rest] = /^([0-9a-f]{64})(\.qcow2)?(?:\.(?:partial|verified))?$/.exec(entry.name) ?? [];
      if (hex === undefined || !entry.isFile()) return [];
      const path = join(folder, entry.name);
      const file = await stat(path).catch(() => null);
      if (!file) return [];
      const isWhole = entry.name === `${hex}${rest ?? ''}`;
      return [{ path, digest: `sha256:${hex}`, sizeBytes: file.size, isWhole }];
    }),
  );
  return found.flat();
}
