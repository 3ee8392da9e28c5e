import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../kit/atomic-file.ts';

/** Which host had a disk last, and at which incarnation of its VM. Written beside the disk before it is opened, and only ever to a higher one. */
const owner = z.object({
  host: z.string(),
  incarnation: z.number().int().min(1),
  /** The request by which it was made from a backup: it is a whole disk then, and lies on no layer. */
  restored: z.string().max(64).optional(),
  /** A copy of a disk that came here with its machine, and how far it is (`DiskCopies`). Absent: it is a disk like any other. */
  copy: z.enum(['half', 'whole']).optional(),
  /** It left with its machine, and a copy of it stood on that host whole, as that incarnation. Absent: it did not, or was opened here since. */
  left: z.object({ to: z.string(), incarnation: z.number().int().min(1) }).optional(),
});
export type Owner = z.infer<typeof owner>;

/** Where it is written down of a VM's disk. */
export const ownerFile = (kind: 'instance' | 'machine', disk: string) =>
  kind === 'machine' ? join(dirname(disk), 'owner.json') : `${disk}.owner`;

/** Null: nobody has written it down. */
export async function readOwner(file: string): Promise<Owner | null> {
  try {
    return parseOwner(await readFile(file, 'utf8'));
  } catch {
    return null;
  }
}

/** Null: it is no owner's. */
export function parseOwner(text: string): Owner | null {
  try {
    return owner.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** A later machine of this name has it by now. @param upToIncarnation absent: whichever has it is meant. */
export const isLater = (found: Owner | null, upToIncarnation: number | undefined): boolean =>
  found !== null && upToIncarnation !== undefined && found.incarnation > upToIncarnation;

export const composeOwner = ({ host, incarnation, restored, copy, left }: Owner): string =>
  `${JSON.stringify({ host, incarnation, restored, copy, left })}\n`;

export const writeOwner = (file: string, made: Owner): Promise<void> =>
  writeFileAtomic(file, composeOwner(made));
