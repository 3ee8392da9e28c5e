import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../../agent/kit/exec.ts';
import type { PlacedFile } from './layout.ts';

/** Native addons without what only a debugger reads, which also names folders of the machine that built them. Others as they are. */
export async function stripAddons(
  modules: readonly PlacedFile[],
  folder: string,
): Promise<readonly PlacedFile[]> {
  await mkdir(folder);
  const addons = modules.filter(({ path }) => path.endsWith('.node'));
  const stripped = new Map<string, string>();
  for (const { path, file } of addons) {
    const copy = join(folder, `${stripped.size}.node`);
    await copyFile(file, copy);
    await exec('strip', ['--strip-unneeded', copy], { timeoutMs: 60_000 });
    stripped.set(path, copy);
  }
  return modules.map(({ path, file }) => ({ path, file: stripped.get(path) ?? file }));
}
