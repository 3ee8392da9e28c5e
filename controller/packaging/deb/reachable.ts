import { readFile } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import ts from 'typescript';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { PlacedFile } from './layout.ts';

export interface Reachable {
  /** Our own built modules; `path` is relative to `dist`. */
  readonly files: readonly PlacedFile[];
  /** npm packages that they import. */
  readonly packages: readonly string[];
}

/**
 * Follows the imports of built modules from some entries on, also those that are only made when they are needed.
 * @param entries modules of `dist` without their ending. @throws WeftError `set-up` when one is not built.
 */
export async function findReachable(dist: string, entries: readonly string[]): Promise<Reachable> {
  const files = new Map<string, PlacedFile>();
  const packages = new Set<string>();
  const open = entries.map((entry) => resolve(dist, `${entry}.js`));
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (files.has(file)) continue;
    files.set(file, { path: relative(dist, file), file });
    for (const specifier of importsOf(await read(file)))
      if (specifier.startsWith('.')) open.push(resolve(dirname(file), specifier));
      else if (!specifier.startsWith('node:')) packages.add(packageOf(specifier));
  }
  return { files: [...files.values()], packages: [...packages].sort() };
}

function importsOf(text: string): readonly string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
}

/** `@scope/name/deep/path` → `@scope/name`, `name/deep` → `name`. */
export function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new WeftError('set-up', `${file} is not built`, { remedy: 'npm run build', cause: error });
  }
}
