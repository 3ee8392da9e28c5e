import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exec } from '../../agent/kit/exec.ts';

/** Copies one of this machine's programs to `/bin` of a tree, and the libraries that it loads to their own places. */
export async function copyProgram(program: string, name: string, root: string): Promise<void> {
  await mkdir(join(root, 'bin'), { recursive: true });
  await copyFile(program, join(root, 'bin', name));
  const { stdout } = await exec('ldd', [program], { timeoutMs: 10_000 });
  for (const library of libraryPaths(stdout)) {
    await mkdir(dirname(join(root, library)), { recursive: true });
    await copyFile(library, join(root, library));
  }
}

/** Absolute paths in the output of ldd. */
export function libraryPaths(output: string): readonly string[] {
  return output.split('\n').flatMap((line) => /(?:=> |^\s*)(\/\S+) \(/.exec(line)?.[1] ?? []);
}
