import { basename } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Entry, PackageDescription } from './contract.ts';
import { changelogText, copyrightText, manualText, type Release } from './texts.ts';

/** A file, and where it goes below the package's own folder. */
export interface PlacedFile {
  readonly path: string;
  readonly file: string;
}

/** What was found for one package. Files are absolute paths on this machine. */
export interface Found {
  /** Entries of programs that this build has. */
  readonly entries: ReadonlySet<string>;
  /** Entry → what its program prints for `--help`. */
  readonly helps: ReadonlyMap<string, string>;
  /** Sources of installed files that this checkout has, relative → absolute. */
  readonly sources: ReadonlyMap<string, string>;
  /** Our built modules and what they need of `node_modules`. */
  readonly modules: readonly PlacedFile[];
  readonly node: string;
  readonly nodeLicense: string | null;
}

/**
 * Everything that a package installs, in the order of its paths. The programs lie in a folder of the package's own with the Node
 * and the modules that they were built with, so that no other package can change what they run on.
 */
export function planEntries(
  description: PackageDescription,
  release: Release,
  found: Found,
): readonly Entry[] {
  const home = `usr/lib/weft/${description.folder}`;
  const documents = `usr/share/doc/${description.name}`;
  const entries: Entry[] = [
    { path: `${home}/bin/node`, mode: 0o755, content: { file: found.node } },
    { path: `${home}/package.json`, mode: 0o644, content: { text: manifestText(description, release) } },
    { path: `${documents}/copyright`, mode: 0o644, content: { text: copyrightText(description) } },
    compressed(`${documents}/changelog.gz`, changelogText(description, release)),
  ];
  if (found.nodeLicense !== null)
    entries.push({ path: `${documents}/LICENSE.node`, mode: 0o644, content: { file: found.nodeLicense } });
  for (const { path, file } of found.modules)
    entries.push({ path: `${home}/${path}`, mode: 0o644, content: { file } });
  for (const { command, entry, summary, nodeFlags } of programsOf(description, found.entries)) {
    entries.push({ path: command, mode: 0o755, content: { text: commandText(home, entry, nodeFlags) } });
    const name = basename(command);
    const section = command.startsWith('usr/sbin/') ? '8' : '1';
    const page = manualText(name, section, summary, found.helps.get(entry) ?? '', release);
    entries.push(compressed(`usr/share/man/man${section}/${name}.${section}.gz`, page));
  }
  for (const { path, source, isProgram } of description.files) {
    const file = found.sources.get(source);
    if (file !== undefined) entries.push({ path, mode: isProgram ? 0o755 : 0o644, content: { file } });
  }
  return entries.sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** As Debian wants texts that are seldom read; equal texts give equal files. */
const compressed = (path: string, text: string): Entry => ({
  path,
  mode: 0o644,
  content: { bytes: gzipSync(text, { level: 9 }) },
});

/** Programs of a package that this build has. */
export const programsOf = (description: PackageDescription, entries: ReadonlySet<string>) =>
  description.programs.filter(({ entry }) => entries.has(entry));

/** Folders that hold the entries, each before what lies in it. */
export function foldersOf(entries: readonly Pick<Entry, 'path'>[]): readonly string[] {
  const folders = new Set<string>();
  for (const { path } of entries) {
    const parts = path.split('/').slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) folders.add(parts.slice(0, depth).join('/'));
  }
  return [...folders].sort();
}

function commandText(home: string, entry: string, nodeFlags: readonly string[]): string {
  return `#!/bin/sh\nexec ${[`/${home}/bin/node`, ...nodeFlags, `/${home}/${entry}.js`].join(' ')} "$@"\n`;
}

function manifestText({ name }: PackageDescription, { version }: Release): string {
  return `${JSON.stringify({ name, version, private: true, type: 'module' }, null, 2)}\n`;
}
