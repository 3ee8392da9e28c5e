import { mkdir, readdir, readFile } from 'node:fs/promises';
import { z } from 'zod';
import { writeFileAtomic } from '../../agent/kit/atomic-file.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { type Layout, labsFolder, layoutOf } from './layout.ts';

const processRecord = z.object({
  pid: z.number().int().positive(),
  /** Field 22 of /proc/PID/stat: with it a pid that was used again is not mistaken for ours. */
  startTime: z.string(),
});
export type ProcessRecord = z.infer<typeof processRecord>;

const hostState = z.object({
  name: z.string(),
  number: z.number().int(),
  address: z.string(),
  /** `unshare` and, below it, the host's first process; null when powered off. */
  power: z.object({ unshare: processRecord, init: processRecord }).nullable(),
});
export type HostState = z.infer<typeof hostState>;

const labState = z.object({
  name: z.string(),
  number: z.number().int(),
  controller: processRecord.nullable(),
  hosts: z.array(hostState),
});
export type LabState = z.infer<typeof labState>;

export async function readLabState(layout: Layout): Promise<LabState | null> {
  const text = await readFile(layout.stateFile, 'utf8').catch(() => null);
  return text === null ? null : labState.parse(JSON.parse(text));
}

export async function requireLabState(layout: Layout): Promise<LabState> {
  const state = await readLabState(layout);
  if (state) return state;
  throw new WeftError('not-found', `there is no lab "${layout.name}"`, {
    remedy: `Bring it up: npm run lab -- up --name ${layout.name}`,
  });
}

export async function writeLabState(layout: Layout, state: LabState): Promise<void> {
  await writeFileAtomic(layout.stateFile, `${JSON.stringify(state, null, 2)}\n`);
}

/** Names of all labs that left a state file. */
export async function listLabs(): Promise<readonly string[]> {
  await mkdir(labsFolder(), { recursive: true, mode: 0o755 });
  const names = await readdir(labsFolder());
  const states = await Promise.all(
    names.map(async (name) => [name, await readLabState(layoutOf(name)).catch(() => null)] as const),
  );
  return states.filter(([, state]) => state !== null).map(([name]) => name);
}
