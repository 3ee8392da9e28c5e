import { join } from 'node:path';
import { exec } from '../../agent/kit/exec.ts';
import { nodeFlags, type Program } from '../../agent/kit/node-flags.ts';
import { REPOSITORY } from './layout.ts';

/** Set by who has brought `dist/` up to date for all that it begins. */
const BUILT = 'WEFT_PROGRAMS_BUILT';

/** Brings `dist/` up to date: hosts run the built programs, as installed ones do. Incremental, some seconds when little changed. */
export async function buildPrograms(): Promise<void> {
  if (process.env[BUILT] === REPOSITORY) return;
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

/** Once for all labs of a run of tests. */
export async function buildProgramsOnce(): Promise<void> {
  await buildPrograms();
  process.env[BUILT] = REPOSITORY;
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
