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

/** The command line of one of our programs, `agent/main` or `controller/main`. */
export function program(entry: Program): readonly string[] {
  return [
    process.execPath,
    ...nodeFlags(entry),
    '--enable-source-maps',
    join(REPOSITORY, 'dist', `${entry}.js`),
  ];
}
