import { posix } from 'node:path';
import { WeftError } from '../../agent/kit/errors.ts';

export interface RawEntry {
  readonly name: string;
  readonly type: string | null | undefined;
  readonly linkname: string | null | undefined;
}

export interface CheckedEntry {
  /** Components without `.`; empty for the archive's root itself. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink';
  readonly link: string | null;
}

const TYPES: Readonly<Record<string, CheckedEntry['type']>> = {
  file: 'file',
  'contiguous-file': 'file',
  directory: 'directory',
  symlink: 'symlink',
  link: 'hardlink',
};
const LONGEST_PATH = 1024;
const DEEPEST = 64;

export function invalidPackage(
  problem: string,
  remedy: string,
  details?: Record<string, unknown>,
): WeftError {
  return new WeftError('invalid-package', `the package ${problem}`, {
    remedy,
    ...(details === undefined ? {} : { details }),
  });
}

/**
 * Judges the entries of one archive in order. Unpacking what it accepts, folder by folder and in that order, writes
 * nowhere else: paths and links stay in their top-level folder, and no path leads through a link.
 */
export class EntryRules {
  readonly #links = new Set<string>();
  readonly #files = new Set<string>();
  readonly #directories = new Set<string>();

  /** @throws WeftError `invalid-package`. */
  check(entry: RawEntry): CheckedEntry {
    const type = TYPES[entry.type ?? ''];
    const shown = JSON.stringify(entry.name.slice(0, 200));
    if (type === undefined)
      throw invalidPackage(
        `holds ${shown}, which is a ${entry.type ?? 'thing of unknown type'}`,
        'Pack only files, folders and links: no devices, pipes or sockets.',
      );
    const path = cleanPath(entry.name, shown);
    if (path === '' && type !== 'directory') throw unsafe(shown);
    this.#place(path, type, shown);
    return { path, type, link: this.#link(path, type, entry.linkname ?? '', shown) };
  }

  /** Each path is one thing, and what holds others is a folder. */
  #place(path: string, type: CheckedEntry['type'], shown: string): void {
    for (let parent = posix.dirname(path); parent !== '.'; parent = posix.dirname(parent)) {
      if (this.#links.has(parent) || this.#files.has(parent))
        throw invalidPackage(
          `holds ${shown}, below something that is no folder`,
          'Pack the folder again: a path may not lead through a link or a file.',
        );
      this.#directories.add(parent);
    }
    const isTaken = this.#links.has(path) || this.#files.has(path);
    if (isTaken || (type !== 'directory' && this.#directories.has(path)))
      throw invalidPackage(`holds ${shown} twice`, 'Pack it again, each path once.');
    if (type === 'directory') this.#directories.add(path);
    else if (type === 'symlink') this.#links.add(path);
    else this.#files.add(path);
  }

  #link(path: string, type: CheckedEntry['type'], target: string, shown: string): string | null {
    if (type === 'symlink') {
      if (isSafeSymlink(path, target)) return target;
      throw invalidPackage(
        `holds the link ${shown} to ${JSON.stringify(target.slice(0, 200))}, which leads out of its folder`,
        'Make the link relative and keep it within its role’s folder, with ../ only at its start.',
      );
    }
    if (type !== 'hardlink') return null;
    const to = cleanPath(target, shown);
    if (this.#files.has(to) && to !== path && topFolder(to) === topFolder(path)) return to;
    throw invalidPackage(
      `holds ${shown}, a hard link to what is not a file before it in its folder`,
      'Pack each role’s folder so that it does not share files with another one.',
    );
  }
}

/** First component; empty for what lies in the root itself. */
export function topFolder(path: string): string {
  const slash = path.indexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

function cleanPath(name: string, shown: string): string {
  if (name.startsWith('/') || name.length > LONGEST_PATH || hasControlCharacter(name)) throw unsafe(shown);
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || parts.length > DEEPEST || parts.some((part) => Buffer.byteLength(part) > 255))
    throw unsafe(shown);
  return parts.join('/');
}

/**
 * `..` only at the start of a target: there each one is a real folder upwards, because no entry's path leads through a
 * link. Further on it could follow another link first, and mean something else than it says.
 */
function isSafeSymlink(path: string, target: string): boolean {
  if (target === '' || target.startsWith('/') || target.length > LONGEST_PATH || hasControlCharacter(target))
    return false;
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const climbs = parts.findIndex((part) => part !== '..');
  const ups = climbs < 0 ? parts.length : climbs;
  if (parts.slice(ups).includes('..')) return false;
  const depth = path.split('/').length - 1;
  const floor = topFolder(path) === '' ? 0 : 1;
  return depth - ups >= floor;
}

function hasControlCharacter(text: string): boolean {
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || code === 0x7f || code === 0xfffd) return true;
  }
  return false;
}

function unsafe(shown: string): WeftError {
  return invalidPackage(
    `holds the unsafe path ${shown}`,
    'Pack it with relative paths: tar -C FOLDER -czf crm.tar.gz .',
  );
}
