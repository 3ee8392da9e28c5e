import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { WeftError } from '../../agent/kit/errors.ts';
import { digestOfFile } from '../digest.ts';
import type { BuiltImage, Recipe } from './contract.ts';

export interface BuildOptions {
  readonly cacheFolder: string;
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}

export const DEFAULT_RECIPE_CACHE = '/var/cache/weft/recipes';

/** Raised when the way of building changes without any input changing. */
const FORMAT = 'weft-recipe-4';
const MANIFEST = 'manifest.json';

const manifestSchema = z.object({
  version: z.string(),
  disk: z.string(),
  kernel: z.string(),
  initrd: z.string(),
});

/**
 * The recipe's image, from the cache when its inputs are the same as then. A finished build is a folder named by the
 * hash of its inputs; it is renamed into place whole. Work folders of builds that were killed are removed by the next.
 * @throws WeftError of the tools it runs.
 */
export async function buildRecipe(recipe: Recipe, options: BuildOptions): Promise<BuiltImage> {
  const inputs = await recipe.inputs(options);
  const key = createHash('sha256')
    .update(JSON.stringify([FORMAT, recipe.name, inputs]))
    .digest('hex')
    .slice(0, 32);
  const finished = join(options.cacheFolder, `${recipe.name}-${key}`);
  const cached = await readBuilt(recipe, finished);
  if (cached !== null) {
    options.onLine(`${recipe.name} ${cached.version} is in the cache`);
    return cached;
  }
  await mkdir(options.cacheFolder, { recursive: true });
  await removeLeftovers(options.cacheFolder);
  const workFolder = join(
    options.cacheFolder,
    `.work-${process.pid}-${recipe.name}-${randomBytes(4).toString('hex')}`,
  );
  await mkdir(workFolder);
  try {
    await produce(recipe, workFolder, options);
    await rename(workFolder, finished).catch(async (error: NodeJS.ErrnoException) => {
      // Another process finished the same build first: its result is as good.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(workFolder, { recursive: true, force: true });
  }
  const built = await readBuilt(recipe, finished);
  if (built === null) throw new WeftError('internal', `the build of ${recipe.name} vanished from the cache`);
  options.onLine(`${recipe.name} ${built.version} is built`);
  return built;
}

/** Builds, then keeps of the work folder only the three files and the manifest, which is written last. */
async function produce(recipe: Recipe, workFolder: string, options: BuildOptions): Promise<void> {
  const output = await recipe.build({ workFolder, onLine: options.onLine, signal: options.signal });
  const kept = [output.disk, output.kernel, output.initrd];
  const content = createHash('sha256');
  for (const file of kept) content.update(await digestOfFile(join(workFolder, file)));
  const version = `${recipe.series}-${content.digest('hex').slice(0, 8)}`;
  for (const entry of await readdir(workFolder))
    if (!kept.includes(entry)) await rm(join(workFolder, entry), { recursive: true, force: true });
  await writeFile(join(workFolder, MANIFEST), JSON.stringify({ version, ...output }));
}

async function readBuilt(recipe: Recipe, folder: string): Promise<BuiltImage | null> {
  const text = await readFile(join(folder, MANIFEST), 'utf8').catch(() => null);
  if (text === null) return null;
  const manifest = manifestSchema.parse(JSON.parse(text));
  return {
    recipe: recipe.name,
    version: manifest.version,
    disk: join(folder, manifest.disk),
    kernel: join(folder, manifest.kernel),
    initrd: join(folder, manifest.initrd),
    traits: recipe.traits,
  };
}

async function removeLeftovers(cacheFolder: string): Promise<void> {
  for (const entry of await readdir(cacheFolder)) {
    const owner = /^\.work-(\d+)-/.exec(entry)?.[1];
    if (owner !== undefined && !isAlive(Number(owner)))
      await rm(join(cacheFolder, entry), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
