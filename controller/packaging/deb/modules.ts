import { readdir, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '../../../agent/kit/errors.ts';
import { exists } from '../../../agent/kit/exists.ts';
import type { PlacedFile } from './layout.ts';

/** Named as dependencies, but used only while a native module is installed. */
const ONLY_FOR_INSTALLING: ReadonlySet<string> = new Set([
  'buildcheck',
  'nan',
  'node-addon-api',
  'prebuild-install',
]);
/** Of another runtime for JavaScript, with binaries for many systems; on Node its own modules are used instead. */
const OF_ANOTHER_RUNTIME = /^bare-/;
const UNWANTED_FOLDERS: ReadonlySet<string> = new Set([
  ...['.github', '.vscode', 'benchmark', 'benchmarks', 'docs', 'example', 'examples', 'integration'],
  ...['node_modules', 'obj', 'obj.target', 'stress', 'test', 'tests', '.deps', '__tests__'],
]);
/** Sources and configuration of native modules, beside the addon that they were built to. */
const UNWANTED_IN_NATIVE: ReadonlySet<string> = new Set(['deps', 'native', 'scripts', 'src']);
const UNWANTED_FILES =
  /\.(a|c|cc|cpp|cts|flow|gyp|gypi|h|html|map|markdown|md|mk|mts|o|sh|ts|tsbuildinfo|yml)$|^(test_extension\.node|Makefile|\..*|eslint\.config\..*|weft-stamp)$/i;
/** They go wherever the code goes. */
const LICENCES = /^(licen[cs]e|copying|notice)/i;

/** Whether a running program may need a file of an npm package. `path` is relative to the package's folder. */
export function isNeeded(path: string, isNative: boolean): boolean {
  const parts = path.split('/');
  const name = parts.pop() ?? '';
  if (parts.some((part) => UNWANTED_FOLDERS.has(part) || part.startsWith('.'))) return false;
  if (isNative && UNWANTED_IN_NATIVE.has(parts[0] ?? '')) return false;
  return LICENCES.test(name) || !UNWANTED_FILES.test(name);
}

/**
 * Files of the npm packages that are needed, and of what those need in turn, laid out as npm did.
 * @throws WeftError `set-up` when one is not installed.
 */
export async function collectModules(
  nodeModules: string,
  wanted: readonly string[],
): Promise<readonly PlacedFile[]> {
  const found = new Map<string, string>();
  for (const name of wanted) await addPackage(nodeModules, [], name, false, found);
  const files: PlacedFile[] = [];
  for (const [place, folder] of [...found].sort())
    for (const path of await filesOf(folder))
      files.push({ path: `node_modules/${place}/${path}`, file: join(folder, path) });
  return files;
}

/** Adds a package that is asked for from within `parents`, and its dependencies: the nearest copy counts, as Node looks for it. */
async function addPackage(
  nodeModules: string,
  parents: readonly string[],
  name: string,
  optional: boolean,
  found: Map<string, string>,
): Promise<void> {
  for (let depth = parents.length; depth >= 0; depth--) {
    const chain = [...parents.slice(0, depth), name];
    const place = chain.join('/node_modules/');
    const folder = join(nodeModules, place);
    if (!(await exists(join(folder, 'package.json')))) continue;
    if (found.has(place)) return;
    found.set(place, await realpath(folder));
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const needs = [
      ...Object.keys(manifest.dependencies ?? {}).map((need) => [need, false] as const),
      ...Object.keys(manifest.optionalDependencies ?? {}).map((need) => [need, true] as const),
    ];
    for (const [need, isOptional] of needs)
      if (!ONLY_FOR_INSTALLING.has(need) && !OF_ANOTHER_RUNTIME.test(need))
        await addPackage(nodeModules, chain, need, isOptional, found);
    return;
  }
  if (!optional)
    throw new WeftError('set-up', `the npm package ${name} is not installed`, { remedy: 'Run: npm ci' });
}

async function filesOf(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
  const isNative = paths.some((path) => path.endsWith('.node'));
  return paths.filter((path) => isNeeded(path, isNative));
}
