import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { writeFileAtomic } from '../kit/atomic-file.ts';

/** What a file looked like when its digest was last found right. Another size, time or inode means: read it again. */
interface Seal {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly inode: number;
}

const sealOf = async (path: string): Promise<Seal> => {
  const { size, mtimeMs, ino } = await stat(path);
  return { sizeBytes: size, modifiedMs: mtimeMs, inode: ino };
};

const sealPath = (path: string) => `${path}.verified`;

/** Records that the file's digest is right as it is now. */
export async function seal(path: string): Promise<void> {
  await writeFileAtomic(sealPath(path), `${JSON.stringify(await sealOf(path))}\n`);
}

/** True when the file is as it was when it was sealed. */
export async function isSealed(path: string): Promise<boolean> {
  try {
    const [now, then] = await Promise.all([sealOf(path), readFile(sealPath(path), 'utf8')]);
    return JSON.stringify(now) === then.trim();
  } catch {
    return false;
  }
}

/** `sha256:` + hex of a file's bytes. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}
