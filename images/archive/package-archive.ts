import { Readable } from 'node:stream';
import {
  type ArchiveLimits,
  DEFAULT_ARCHIVE_LIMITS,
  type PackageEntry,
  type PackageFacts,
} from './contract.ts';
import { EntryRules, invalidPackage, topFolder } from './entry-rules.ts';
import { readTarGz } from './tar-gz.ts';

/**
 * Reads a whole package and judges every entry.
 * @throws WeftError `invalid-package` with what is wrong and what to do.
 */
export async function inspectPackage(
  file: string,
  limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS,
): Promise<PackageFacts> {
  const rules = new EntryRules();
  const folders = new Set<string>();
  let entries = 0;
  let unpackedBytes = 0;
  for await (const raw of readTarGz(file, limits)) {
    const { path, type } = rules.check(raw.header);
    const folder = type === 'directory' && !path.includes('/') ? path : topFolder(path);
    if (folder !== '') folders.add(folder);
    entries++;
    for await (const chunk of raw.content()) unpackedBytes += chunk.length;
  }
  return { folders: [...folders].sort(), entries, unpackedBytes };
}

/**
 * The entries of one top-level folder, with paths relative to it; of the whole archive with `folder: null`.
 * @throws WeftError `invalid-package` also when the archive has no such folder.
 */
export async function* folderEntries(
  file: string,
  folder: string | null,
  limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS,
): AsyncGenerator<PackageEntry> {
  const rules = new EntryRules();
  let isFound = folder === null;
  for await (const raw of readTarGz(file, limits)) {
    const { path, type, link } = rules.check(raw.header);
    if (folder !== null && path !== folder && topFolder(path) !== folder) {
      raw.skip();
      continue;
    }
    isFound ||= type === 'directory' || path !== folder;
    if (path === '' || path === folder) {
      if (type === 'directory') {
        raw.skip();
        continue;
      }
      if (folder !== null) throw invalidPackage(`has a file where the folder ${folder} should be`, REMEDY);
    }
    const inFolder = (whole: string) => (folder === null ? whole : whole.slice(folder.length + 1));
    const sizeBytes = type === 'file' ? (raw.header.size ?? 0) : 0;
    yield {
      path: inFolder(path),
      type,
      mode: (raw.header.mode ?? 0o644) & 0o777,
      sizeBytes,
      link: type === 'hardlink' && link !== null ? inFolder(link) : link,
      stream: sizeBytes > 0 ? Readable.from(raw.content()) : Readable.from([]),
    };
    raw.skip();
  }
  if (!isFound) throw invalidPackage(`has no folder ${folder}`, REMEDY);
}

const REMEDY = 'Give the package one folder per role, named like the role.';
