import { chmod, copyFile, mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Entry } from './contract.ts';
import { foldersOf } from './layout.ts';

/** Writes a package's tree to an empty folder: modes and times are fixed, so that equal inputs give equal packages. */
export async function stage(
  entries: readonly Entry[],
  control: readonly Entry[],
  root: string,
  epochSeconds: number,
): Promise<void> {
  const all = [...entries, ...control];
  const folders = foldersOf(all);
  await mkdir(root, { recursive: true, mode: 0o755 });
  for (const folder of folders) await mkdir(join(root, folder), { mode: 0o755 });
  for (const { path, mode, content } of all) {
    const target = join(root, path);
    if ('file' in content) await copyFile(content.file, target);
    else await writeFile(target, 'text' in content ? content.text : content.bytes);
    await chmodAndDate(target, mode, epochSeconds);
  }
  for (const folder of [...folders.toReversed(), '.'])
    await chmodAndDate(join(root, folder), 0o755, epochSeconds);
}

async function chmodAndDate(path: string, mode: number, epochSeconds: number): Promise<void> {
  await chmod(path, mode);
  await utimes(path, epochSeconds, epochSeconds);
}
