import { randomBytes } from 'node:crypto';
import { rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { digestOfFile } from '../../images/digest.ts';
import { inspectImage } from '../../images/formats/inspect.ts';
import type { BackupDriver } from '../hypervisor/backup-driver.ts';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import type { Clock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import { syncPath } from '../kit/sync-path.ts';
import type { VmGoal } from '../protocol/index.ts';
import type { FrozenGuests } from './frozen-guests.ts';
import { type BackupManifest, composeManifest, DISK_FILE, MANIFEST_FILE } from './manifest.ts';
import { readManifest } from './read-backup.ts';
import { makeWalkable } from './targets.ts';

const POLL_MS = 250;
/** libvirt may be restarted meanwhile: the job goes on without it. */
const SILENCE_LIMIT_MS = 60_000;

export interface MakeBackup {
  readonly driver: BackupDriver;
  readonly guests: FrozenGuests;
  readonly clock: Clock;
  readonly fleet: string;
  readonly host: string;
  readonly vm: VmGoal;
  readonly domain: string;
  readonly id: string;
  /** Where it is to be in the end. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly onPercent: (percent: number) => void;
}

/** Folders of backups that this host had begun, by name. */
export const halfMadeBy = (host: string) => new RegExp(`^[0-9]{8}t[0-9]{6}\\.${host}\\.[0-9a-f]{8}\\.tmp$`);

/**
 * Copies the disk of a running machine. The folder has its name only when all of it is there and flushed; what a crash leaves has
 * another name and is swept. One that is there already is not made again.
 */
export async function makeBackup(wanted: MakeBackup): Promise<BackupManifest> {
  const { driver, domain, folder, host, id, vm, fleet, signal } = wanted;
  const known = await readManifest(folder, { vmId: vm.id, id, fleet }).catch((error: unknown) => {
    if (WeftError.from(error).code === 'not-found') return null;
    throw error;
  });
  if (known) return known;
  // What an agent before this one had begun writes into a folder that nobody will look for.
  await driver.abortBackup(domain);
  const parent = dirname(folder);
  await makeWalkable(parent, 2);
  const temporary = `${folder}.${host}.${randomBytes(4).toString('hex')}.tmp`;
  await makeWalkable(temporary, 1);
  try {
    const manifest = await fill(wanted, temporary);
    signal.throwIfAborted();
    await rename(temporary, folder);
    await syncPath(parent);
    return manifest;
  } catch (error) {
    await driver.abortBackup(domain).catch(() => undefined);
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

async function fill(wanted: MakeBackup, temporary: string): Promise<BackupManifest> {
  const { vm, id, fleet, host, signal } = wanted;
  const file = join(temporary, DISK_FILE);
  const begun = await begin(wanted, file);
  await finish(wanted);
  await syncPath(file);
  const { virtualSizeBytes } = await inspectImage(file);
  const { size } = await stat(file);
  const manifest: BackupManifest = {
    format: 'weft-backup/1',
    id,
    fleet,
    machine: vm.id,
    incarnation: vm.incarnation,
    host,
    image: {
      name: vm.image.name,
      version: vm.image.version,
      topLayer: vm.image.layers.at(-1)?.digest ?? '',
    },
    size: { cpus: vm.size.cpus, memoryMiB: vm.size.memoryMiB, diskMiB: vm.size.diskMiB },
    at: new Date(begun.atMs).toISOString(),
    consistency: begun.note === null ? 'frozen' : 'crash-consistent',
    ...(begun.note === null ? {} : { note: begun.note.slice(0, 512) }),
    disk: {
      file: DISK_FILE,
      sizeBytes: size,
      virtualSizeBytes,
      digest: await digestOfFile(file, signal),
    },
  };
  await writeFileAtomic(join(temporary, MANIFEST_FILE), composeManifest(manifest));
  await syncPath(temporary);
  return manifest;
}

/** The guest is frozen for the moment in which the job begins, not while it runs. */
async function begin(
  { driver, guests, clock, vm, domain, signal }: MakeBackup,
  file: string,
): Promise<{ atMs: number; note: string | null }> {
  const note = await guests.freeze(vm.id, domain);
  try {
    signal.throwIfAborted();
    const atMs = clock.now();
    await driver.beginBackup(domain, file);
    return { atMs, note };
  } finally {
    await guests.thaw(vm.id, domain);
  }
}

async function finish({ driver, clock, domain, vm, signal, onPercent }: MakeBackup): Promise<void> {
  let heardMs = clock.now();
  for (;;) {
    signal.throwIfAborted();
    const progress = await driver.backupProgress(domain).catch((error: unknown) => {
      const { code } = WeftError.from(error);
      if (code === 'not-found' || clock.now() - heardMs > SILENCE_LIMIT_MS) throw error;
      return null;
    });
    if (progress) heardMs = clock.now();
    if (progress?.state === 'completed') return;
    if (progress?.state === 'failed')
      throw new WeftError(
        'hypervisor-failed',
        `the disk of ${vm.id} could not be copied: ${progress.reason}`,
      );
    if (progress?.state === 'none')
      throw new WeftError('hypervisor-failed', `the copy of the disk of ${vm.id} ended before it was whole`);
    if (progress?.state === 'running') onPercent(progress.percent);
    await clock.sleep(POLL_MS, signal);
  }
}
