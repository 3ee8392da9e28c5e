import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LABS_OF_RUN } from './layout.ts';

/** Tells the run of tests that this process is part of, if it is, of a lab that it has to take down when it is cut short. */
export async function noteLab(name: string): Promise<void> {
  const folder = process.env[LABS_OF_RUN];
  // A run that is over has no folder any more, and takes nothing down.
  if (folder !== undefined) await writeFile(join(folder, name), '').catch(() => undefined);
}

export async function forgetLab(name: string): Promise<void> {
  const folder = process.env[LABS_OF_RUN];
  if (folder !== undefined) await rm(join(folder, name), { force: true });
}
