import { z } from 'zod';
import { WeftError } from '../kit/errors.ts';
import { DIGEST_PATTERN, VM_ID_PATTERN } from '../kit/names.ts';
import { BACKUP_ID_PATTERN, consistency } from '../protocol/index.ts';

const bytes = z.number().int().nonnegative();

/** `manifest.json` of a backup, beside its disk: everything that is to be known of it without the controller's store. */
const manifest = z.object({
  format: z.literal('weft-backup/1'),
  id: z.string().regex(BACKUP_ID_PATTERN),
  fleet: z.uuid(),
  /** Whose disk it is. */
  machine: z.string().regex(VM_ID_PATTERN),
  incarnation: z.number().int().min(1),
  host: z.string(),
  /** What the machine boots with. */
  image: z.object({ name: z.string(), version: z.string(), topLayer: z.string().regex(DIGEST_PATTERN) }),
  size: z.object({ cpus: z.number(), memoryMiB: z.number(), diskMiB: z.number() }),
  /** ISO 8601: the moment that the disk shows. */
  at: z.iso.datetime(),
  consistency,
  /** Why it is no better than crash-consistent. */
  note: z.string().max(512).optional(),
  disk: z.object({
    file: z.literal('disk.qcow2'),
    sizeBytes: bytes,
    virtualSizeBytes: bytes,
    digest: z.string().regex(DIGEST_PATTERN),
  }),
});
export type BackupManifest = z.infer<typeof manifest>;

export const MANIFEST_FILE = 'manifest.json';
export const DISK_FILE = 'disk.qcow2';
/** More is none of ours. */
export const MAXIMUM_MANIFEST_BYTES = 64 * 1024;

export const composeManifest = (value: BackupManifest): string =>
  `${JSON.stringify(manifest.parse(value), null, 2)}\n`;

/** @throws WeftError `invalid-image` for anything else than the manifest of this backup of this machine and fleet. */
export function parseManifest(
  text: string,
  wanted: { readonly id: string; readonly vmId: string; readonly fleet: string },
): BackupManifest {
  const parsed = manifest.safeParse(jsonOf(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw broken(
      `its manifest cannot be read: ${issue?.path.join('.') || 'file'}: ${issue?.message}`,
      wanted,
    );
  }
  const { id, machine, fleet } = parsed.data;
  if (id !== wanted.id || machine !== wanted.vmId)
    throw broken(`its manifest is that of backup ${id} of ${machine}`, wanted);
  if (fleet !== wanted.fleet) throw broken(`it belongs to another fleet, ${fleet}`, wanted);
  return parsed.data;
}

/** A backup that is not what it should be. */
export const broken = (what: string, { vmId, id }: { readonly vmId: string; readonly id: string }) =>
  new WeftError('invalid-image', `backup ${vmId}/${id} cannot be used: ${what}`, {
    remedy: 'Restore another one: weft machine backups lists them.',
  });

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
