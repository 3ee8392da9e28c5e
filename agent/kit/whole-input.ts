import { randomBytes } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** In memory, where there is such a place: a disk without room keeps nothing from being said. */
const FOLDERS = ['/dev/shm', tmpdir()];

/**
 * A file that nobody sees, with everything that a program is to read: it is begun with all of it, or not at all. From a pipe it takes what
 * has come for the whole when the process that writes is killed meanwhile.
 * @returns to be closed when the program has begun; it reads from the front. @throws what the file system says.
 */
export async function holdWhole(content: string | Uint8Array): Promise<FileHandle> {
  const file = await openUnseen(FOLDERS);
  try {
    const bytes = Buffer.from(content);
    // At its place each time: what is read begins where nothing has moved.
    for (let at = 0; at < bytes.length; )
      at += (await file.write(bytes, at, bytes.length - at, at)).bytesWritten;
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openUnseen([folder = tmpdir(), ...others]: readonly string[]): Promise<FileHandle> {
  try {
    const path = join(folder, `weft-${randomBytes(12).toString('hex')}`);
    const file = await open(path, 'wx+', 0o600);
    // A crash before this leaves an empty file.
    await unlink(path);
    return file;
  } catch (error) {
    if (others.length === 0) throw error;
    return openUnseen(others);
  }
}
