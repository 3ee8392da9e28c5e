import { chmod, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { entriesOf } from '../kit/entries.ts';

/** What a crash leaves of a disk, or of a file beside it. */
const HALF_MADE = /\.(qcow2|owner|json)\.[0-9a-f]{8,12}\.tmp$/;

/** The folder of one VM's disk, without what crashes have left in it. */
export async function makeDiskFolder(disk: string): Promise<void> {
  const folder = dirname(disk);
  await mkdir(folder, { recursive: true });
  await Promise.all([chmod(folder, 0o711), chmod(dirname(folder), 0o711)]);
  for (const file of await entriesOf(folder))
    if (HALF_MADE.test(file.name)) await rm(join(folder, file.name), { force: true });
}
