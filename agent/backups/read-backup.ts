import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOfFile } from '../../images/digest.ts';
import { inspectImage } from '../../images/formats/inspect.ts';
import { WeftError } from '../kit/errors.ts';
import {
  type BackupManifest,
  broken,
  DISK_FILE,
  MANIFEST_FILE,
  MAXIMUM_MANIFEST_BYTES,
  parseManifest,
} from './manifest.ts';

export interface WantedBackup {
  readonly vmId: string;
  readonly id: string;
  readonly fleet: string;
}

/** What the controller was told when the backup was made. */
interface Expected extends WantedBackup {
  readonly digest: string;
  readonly sizeBytes: number;
}

/** The manifest of a backup in this folder. @throws WeftError `not-found` when there is none; `invalid-image` for a broken one. */
export async function readManifest(folder: string, wanted: WantedBackup): Promise<BackupManifest> {
  const file = join(folder, MANIFEST_FILE);
  try {
    const { size } = await stat(file);
    if (size > MAXIMUM_MANIFEST_BYTES) throw broken('its manifest is too large', wanted);
    return parseManifest(await readFile(file, 'utf8'), wanted);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new WeftError('not-found', `there is no backup ${wanted.vmId}/${wanted.id} in ${folder}`, {
      remedy: 'Put it back from where it went, or restore another one.',
    });
  }
}

/**
 * Everything about a backup that does not need all of it to be read: manifest, size and header.
 * @throws WeftError `invalid-image` that says what is wrong.
 */
async function inspectBackup(folder: string, expected: Expected): Promise<string> {
  const { disk } = await readManifest(folder, expected);
  if (disk.digest !== expected.digest || disk.sizeBytes !== expected.sizeBytes)
    throw broken('its manifest is not the one that was written when it was made', expected);
  const file = join(folder, DISK_FILE);
  const size = await stat(file).then(
    (found) => found.size,
    () => null,
  );
  if (size === null) throw broken('its disk is not there', expected);
  if (size < disk.sizeBytes)
    throw broken(`its disk is truncated: ${size} of ${disk.sizeBytes} bytes are there`, expected);
  if (size > disk.sizeBytes) throw broken(`its disk has ${size} bytes, and had ${disk.sizeBytes}`, expected);
  // It refers to no other file: what a header names would be opened by whoever opens the disk.
  const { format, virtualSizeBytes } = await inspectImage(file);
  if (format !== 'qcow2' || virtualSizeBytes !== disk.virtualSizeBytes)
    throw broken('its disk is not the one that its manifest describes', expected);
  return file;
}

const otherContent = (expected: Expected, found: string) =>
  broken(`its content has changed since it was made: it has ${found}, and had ${expected.digest}`, expected);

/** Reads all of it. @throws WeftError `invalid-image`, `not-found`. */
export async function verifyBackup(folder: string, expected: Expected, signal: AbortSignal): Promise<void> {
  const found = await digestOfFile(await inspectBackup(folder, expected), signal);
  if (found !== expected.digest) throw otherContent(expected, found);
}

/** Copies its disk into a new file, flushed, and verifies what was copied. What it leaves on an error is the caller's to remove. */
export async function copyBackup(
  folder: string,
  expected: Expected,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const source = await inspectBackup(folder, expected);
  const hash = createHash('sha256');
  const target = await open(file, 'wx', 0o600);
  try {
    await writeFile(target, hashed(createReadStream(source, { signal }), hash), { signal });
    await target.sync();
  } finally {
    await target.close();
  }
  const found = `sha256:${hash.digest('hex')}`;
  if (found !== expected.digest) throw otherContent(expected, found);
}

async function* hashed(chunks: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}
