import { writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

export interface Item {
  readonly name: string;
  readonly type?: 'file' | 'directory' | 'symlink' | 'link' | 'fifo' | 'character-device' | 'block-device';
  readonly linkname?: string;
  readonly content?: string | Buffer;
  readonly mode?: number;
}

/** The bytes of a tar archive with exactly these entries, however unsafe they are. */
export async function tarOf(items: readonly Item[]): Promise<Buffer> {
  const tar = pack();
  for (const { name, type = 'file', linkname, content = '', mode = 0o644 } of items) {
    const header = { name, type, mode, ...(linkname === undefined ? {} : { linkname }) };
    if (type === 'file') tar.entry(header, content);
    else tar.entry({ ...header, size: 0 });
  }
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

export async function writeTarGz(file: string, items: readonly Item[]): Promise<string> {
  await writeFile(file, gzipSync(await tarOf(items)));
  return file;
}
