import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { WeftError } from '../../agent/kit/errors.ts';
import type { WeftClient } from '../client/index.ts';
import { about } from './about.ts';
import { unreadable } from './unreadable.ts';

export interface ModelFile {
  readonly app: string;
  readonly source: string;
  /** Path as written → digest of the upload. */
  readonly packages: Readonly<Record<string, string>>;
}

/** Reads a model, and uploads the packages beside it. The controller judges the model; here only its name and its packages are looked up. */
export async function loadModel(
  client: WeftClient,
  options: Readonly<Record<string, unknown>>,
): Promise<ModelFile> {
  const { file } = options;
  if (typeof file !== 'string') throw new WeftError('usage', 'which model? give it with -f FILE');
  const source = await readFile(file, 'utf8').catch((error: unknown) => {
    throw unreadable(file, error, 'Give the model’s file: -f FILE');
  });
  const outline = outlineOf(source);
  const packages: Record<string, string> = {};
  for (const path of outline.packages) {
    const absolute = resolve(dirname(file), path);
    if (!(await stat(absolute).catch(() => null))?.isFile())
      throw new WeftError('invalid-package', `the model names package ${path}, but ${absolute} is no file`, {
        remedy: 'Make it with: tar -czf NAME.tar.gz -C FOLDER .',
      });
    packages[path] = (await about(path, () => client.uploadPackage(createReadStream(absolute)))).digest;
  }
  return { app: outline.app, source, packages };
}

/** Puts the file's name beside the problems that the controller found in it. */
export async function withFile<T>(
  options: Readonly<Record<string, unknown>>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = WeftError.from(thrown);
    if (error.code !== 'invalid-model') throw error;
    throw new WeftError(error.code, error.message, {
      ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
      details: { ...error.details, file: String(options.file) },
    });
  }
}

function outlineOf(source: string): { app: string; packages: readonly string[] } {
  let document: unknown;
  try {
    document = parse(source, { maxAliasCount: 100 });
  } catch {
    document = null;
  }
  const {
    name,
    package: shared,
    roles,
  } = (document ?? {}) as { name?: unknown; package?: unknown; roles?: unknown };
  const own = Object.values((roles ?? {}) as Record<string, { package?: unknown } | null>).map(
    (role) => role?.package,
  );
  const paths = [shared, ...own].filter((path): path is string => typeof path === 'string');
  // A name that cannot be one is the controller's to refuse, with its place in the file.
  const app = typeof name === 'string' && /^[a-z][a-z0-9-]{0,39}$/.test(name) ? name : 'unnamed';
  return {
    app,
    packages: [...new Set(paths)].filter((path) => !path.startsWith('/') && !path.split('/').includes('..')),
  };
}
