import { createWriteStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';

/** Packs a folder as an application's package: a tar.gz with a folder per role. */
export async function packFolder(folder: string, file: string): Promise<void> {
  const archive = pack();
  const writing = pipeline(archive, createGzip(), createWriteStream(file));
  for (const path of (await readdir(folder, { recursive: true })).sort()) {
    const facts = await stat(join(folder, path));
    if (!facts.isFile()) continue;
    archive.entry({ name: path, mode: facts.mode & 0o777 }, await readFile(join(folder, path)));
  }
  archive.finalize();
  await writing;
}
