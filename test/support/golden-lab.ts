import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lab, type UpOptions } from '../lab/lab.ts';
import { BUILT_COMMAND, Weft } from './weft.ts';

/** A lab of three hosts with the tiny image in its catalogue, a scratch folder, and the CLI pointed at it. */
export interface GoldenLab {
  readonly lab: Lab;
  readonly weft: Weft;
  readonly folder: string;
  /** Writes a model into the scratch folder and gives its path. */
  model(text: string, name?: string): Promise<string>;
  /** Deletes whatever applications are left: one test's failure is not the next one's. */
  clear(): Promise<void>;
  down(): Promise<void>;
}

export async function goldenLab(
  name: string,
  options: Partial<
    Pick<
      UpOptions,
      | 'hosts'
      | 'memoryMiB'
      | 'agent'
      | 'agentOf'
      | 'shared'
      | 'forgetful'
      | 'bmc'
      | 'publicAddresses'
      | 'ipv6'
    >
  > & {
    recipes?: readonly string[];
    /** Hosts are down as soon as by default: of a test that takes hosts away. Otherwise a slow machine is given more time. */
    quickDown?: boolean;
    /** How long hosts have to find each other in a shared pool, seconds: of a test that waits for one not to be found. */
    beatGraceSeconds?: number;
    /** What goes between hosts is encrypted. */
    encrypt?: 'prefer' | 'require';
    /** Program that obtains certificates. */
    certificateHook?: string;
  } = {},
): Promise<GoldenLab> {
  const {
    recipes = ['tiny'],
    quickDown = false,
    beatGraceSeconds,
    encrypt,
    certificateHook,
    ...up
  } = options;
  const controller = [
    ...(quickDown ? [] : ['--down-after', '20']),
    ...(beatGraceSeconds === undefined ? [] : ['--beat-grace', String(beatGraceSeconds)]),
    ...(encrypt === undefined ? [] : ['--encrypt', encrypt]),
    ...(certificateHook === undefined ? [] : ['--certificate-hook', certificateHook]),
  ];
  const lab = await Lab.up({ name, hosts: 3, controller, ...up });
  const folder = await mkdtemp(join(tmpdir(), 'weft-system-'));
  const weft = new Weft(lab.layout.clientConfig, BUILT_COMMAND);
  try {
    for (const recipe of recipes) await weft.ok(['image', 'build', recipe], { timeoutMs: 900_000 });
  } catch (error) {
    await lab.down();
    throw error;
  }
  return {
    lab,
    weft,
    folder,
    async model(text, file = 'weft.yaml') {
      const path = join(folder, file);
      await writeFile(path, text);
      return path;
    },
    async clear() {
      for (const { name: app } of await weft.json<{ name: string }[]>(['ls']))
        await weft.ok(['delete', app, '--wait'], { timeoutMs: 180_000 });
    },
    async down() {
      await lab.down();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The size of a tiny guest, as a model writes it. */
export const TINY = '{cpus: 1, memory: 128MiB, disk: 256MiB}';
