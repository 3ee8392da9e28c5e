import { join } from 'node:path';
import { exec } from '../../agent/kit/exec.ts';
import { nodeFlags, type Program } from '../../agent/kit/node-flags.ts';
import { REPOSITORY } from './layout.ts';

/** Brings `dist/` up to date: hosts run the built programs, as installed ones do. Incremental, a second or two when little changed. */
export async function buildPrograms(): Promise<void> {
  await exec(
    process.execPath,
    [join(REPOSITORY, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
    {
      cwd: REPOSITORY,
      timeoutMs: 300_000,
      okExitCodes: [0, 1, 2],
    },
  );
}

/** The file system of shared pools that forget; @param target the program. */
export async function buildForgetful(target: string): Promise<void> {
  const source = join(REPOSITORY, 'test/lab/forgetful.c');
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-D_FILE_OFFSET_BITS=64', '-I/usr/include/fuse3'];
  await exec('gcc', [...flags, source, '-o', target, '-lfuse3'], { timeoutMs: 120_000 });
}

/** The command line of one of our programs, `agent/main` or `controller/main`. */
export function program(entry: Program): readonly string[] {
  return [
    process.execPath,
    ...nodeFlags(entry),
    '--enable-source-maps',
    join(REPOSITORY, 'dist', `${entry}.js`),
  ];
}
