import { open } from 'node:fs/promises';

/** What was written into a file, or which names are in a folder, survives a loss of power from now on. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
