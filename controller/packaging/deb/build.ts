import { mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exec } from '../../../agent/kit/exec.ts';
import { exists } from '../../../agent/kit/exists.ts';
import type { Content, Entry, MaintainerScript, PackageDescription } from './contract.ts';
import { type Found, planEntries, programsOf } from './layout.ts';
import { librariesOf } from './libraries.ts';
import { collectModules } from './modules.ts';
import { findReachable } from './reachable.ts';
import { stage } from './stage.ts';
import { stripAddons } from './strip.ts';
import { controlText, debianVersion, type Release } from './texts.ts';

export interface BuildInputs {
  readonly repository: string;
  /** Folder that the packages are written to. */
  readonly output: string;
  readonly node: string;
  readonly release: Release;
}

export interface BuiltPackage {
  readonly name: string;
  readonly file: string;
  readonly installedBytes: number;
  readonly fileCount: number;
  readonly sizeBytes: number;
}

/** Builds one package. Its programs are tried before it is packed, where no other module than its own can be found. */
export async function buildPackage(
  description: PackageDescription,
  inputs: BuildInputs,
): Promise<BuiltPackage> {
  const { release, output } = inputs;
  // Outside the checkout: Node would find the checkout's modules from within it.
  const work = await mkdtemp('/var/tmp/weft-package-');
  try {
    const found = await find(description, inputs, work);
    const entries = planEntries(description, release, found);
    const installedBytes = await totalBytes(entries);
    const libraries = librariesOf(await nativeFiles(entries));
    const control = controlEntries(description, inputs, libraries, installedBytes);
    const root = join(work, 'root');
    await stage(entries, control, root, release.epochSeconds);
    await tryPrograms(description, found.entries, root);
    await mkdir(output, { recursive: true });
    const name = `${description.name}_${debianVersion(release.version)}_${release.architecture}.deb`;
    await exec('dpkg-deb', ['-Zzstd', '--root-owner-group', '--build', root, join(work, name)], {
      timeoutMs: 600_000,
      env: { SOURCE_DATE_EPOCH: String(release.epochSeconds) },
    });
    const file = join(output, name);
    const partial = join(output, `.${name}.part`);
    await exec('cp', [join(work, name), partial], { timeoutMs: 60_000 });
    await rename(partial, file);
    const { size } = await stat(file);
    return { name: description.name, file, installedBytes, fileCount: entries.length, sizeBytes: size };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function find(description: PackageDescription, inputs: BuildInputs, work: string): Promise<Found> {
  const { repository } = inputs;
  const dist = join(repository, 'dist');
  const entries: string[] = [];
  for (const { entry, optional } of description.programs)
    if (!optional || (await exists(join(dist, `${entry}.js`)))) entries.push(entry);
  const sources = new Map<string, string>();
  for (const { source, optional } of description.files) {
    const file = join(repository, source);
    if (!optional || (await exists(file))) sources.set(source, file);
  }
  const reachable = await findReachable(dist, entries);
  const modules = await collectModules(join(repository, 'node_modules'), reachable.packages);
  return {
    entries: new Set(entries),
    helps: await askForHelp(dist, inputs.node, entries),
    sources,
    modules: [...reachable.files, ...(await stripAddons(modules, join(work, 'addons')))],
    node: inputs.node,
    nodeLicense: await findNodeLicense(inputs.node),
  };
}

async function askForHelp(
  dist: string,
  node: string,
  entries: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const helps = new Map<string, string>();
  for (const entry of entries) {
    const { stdout } = await exec(node, [join(dist, `${entry}.js`), '--help'], {
      cwd: '/',
      timeoutMs: 60_000,
      env: { COLUMNS: '78', NO_COLOR: '1' },
    });
    helps.set(entry, stdout);
  }
  return helps;
}

/** Where distributions of Node put it: beside `bin`, or as documentation. */
async function findNodeLicense(node: string): Promise<string | null> {
  const prefix = dirname(dirname(node));
  for (const path of ['LICENSE', 'share/doc/nodejs/LICENSE', 'share/doc/nodejs/copyright'])
    if (await exists(join(prefix, path))) return join(prefix, path);
  return null;
}

function controlEntries(
  description: PackageDescription,
  { release, repository }: BuildInputs,
  libraries: readonly string[],
  installedBytes: number,
): readonly Entry[] {
  const text = controlText(description, release, libraries, installedBytes);
  const scripts = Object.entries(description.scripts) as [MaintainerScript, string][];
  return [
    { path: 'DEBIAN/control', mode: 0o644, content: { text } },
    ...scripts.map(
      ([script, source]): Entry => ({
        path: `DEBIAN/${script}`,
        mode: 0o755,
        content: { file: join(repository, source) },
      }),
    ),
  ];
}

async function tryPrograms(
  description: PackageDescription,
  entries: ReadonlySet<string>,
  root: string,
): Promise<void> {
  const home = join(root, 'usr/lib/weft', description.folder);
  for (const { entry, nodeFlags } of programsOf(description, entries))
    await exec(join(home, 'bin/node'), [...nodeFlags, join(home, `${entry}.js`), '--help'], {
      cwd: '/',
      timeoutMs: 60_000,
    });
  for (const addon of (await exec('find', [home, '-name', '*.node'], { timeoutMs: 60_000 })).stdout
    .split('\n')
    .filter(Boolean))
    await exec(join(home, 'bin/node'), ['-e', 'require(process.argv[1])', addon], {
      cwd: '/',
      timeoutMs: 60_000,
    });
}

async function totalBytes(entries: readonly Entry[]): Promise<number> {
  let bytes = 0;
  for (const { content } of entries) bytes += await sizeOf(content);
  return bytes;
}

async function sizeOf(content: Content): Promise<number> {
  if ('file' in content) return (await stat(content.file)).size;
  return 'text' in content ? Buffer.byteLength(content.text) : content.bytes.length;
}

async function nativeFiles(entries: readonly Entry[]): Promise<readonly Buffer[]> {
  const files = entries.flatMap(({ path, content }) =>
    'file' in content && (path.endsWith('.node') || path.endsWith('/bin/node')) ? [content.file] : [],
  );
  return Promise.all(files.map((file) => readFile(file)));
}
