import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '../../agent/kit/errors.ts';
import type { ImageGoal } from '../../agent/protocol/index.ts';
import type { BlobStore, StoredBlob } from '../../images/contract.ts';
import { DEFAULT_IMAGE_LIMITS, type ImageLimits } from '../../images/formats/contract.ts';
import { convertToQcow2 } from '../../images/formats/convert.ts';
import { inspectImage } from '../../images/formats/inspect.ts';
import type { ImportRequest } from './contract.ts';
import { checkKernel } from './kernel-check.ts';

export interface ImportContext {
  readonly blobs: BlobStore;
  /** Where the qcow2 is made, best on the blobs' file system; emptied at start. */
  readonly workFolder: string;
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
  readonly limits?: ImageLimits;
}

export interface PreparedImport {
  /** The converted disk, not yet a blob. */
  readonly file: string;
  readonly sourceFormat: string;
  readonly virtualSizeBytes: number;
  readonly kernel: StoredBlob | null;
  readonly initrd: StoredBlob | null;
}

/** Judges and converts the uploaded disk. The caller removes `file`. @throws WeftError `invalid-image`, `not-found`. */
export async function prepareImport(request: ImportRequest, context: ImportContext): Promise<PreparedImport> {
  const { blobs, onLine } = context;
  await uploaded(blobs, request.disk);
  const kernel = request.kernel === undefined ? null : await uploaded(blobs, request.kernel);
  const initrd = request.initrd === undefined ? null : await uploaded(blobs, request.initrd);
  if (kernel !== null) await checkKernel(blobs, kernel.digest, request.architecture ?? 'x86_64');
  const source = blobs.path(request.disk);
  const facts = await inspectImage(source, context.limits ?? DEFAULT_IMAGE_LIMITS);
  onLine(`the disk is ${facts.format}, ${Math.ceil(facts.virtualSizeBytes / 1024 ** 2)} MiB`);
  await mkdir(context.workFolder, { recursive: true });
  const file = join(context.workFolder, `${randomBytes(8).toString('hex')}.qcow2`);
  try {
    await convertToQcow2(source, facts, file, { onPercent: everyTenth(onLine), signal: context.signal });
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
  onLine('converted and checked');
  const { format: sourceFormat, virtualSizeBytes } = facts;
  return { file, sourceFormat, virtualSizeBytes, kernel, initrd };
}

export function importedGoal(request: ImportRequest, prepared: PreparedImport, disk: StoredBlob): ImageGoal {
  const { kernel, initrd, virtualSizeBytes } = prepared;
  return {
    name: request.name,
    version: request.version,
    layers: [{ ...disk, virtualSizeBytes }],
    architecture: request.architecture ?? 'x86_64',
    boot:
      kernel === null
        ? { method: 'disk', firmware: request.firmware ?? 'bios' }
        : {
            method: 'kernel',
            kernel,
            ...(initrd === null ? {} : { initrd }),
            commandLine: request.commandLine ?? 'console=ttyS0 root=/dev/vda',
          },
    disk: request.devices ?? 'virtio',
    nic: request.devices === 'sata' ? 'e1000e' : 'virtio',
    seed: request.seed,
    sshUser: request.sshUser ?? 'root',
    webServer: request.webServer ?? 'none',
  };
}

async function uploaded(blobs: BlobStore, digest: string): Promise<StoredBlob> {
  const blob = await blobs.stat(digest);
  if (blob !== null) return blob;
  throw new WeftError('not-found', `nothing was uploaded with the digest ${digest}`, {
    remedy: 'Upload the file, then import it.',
  });
}

function everyTenth(onLine: (line: string) => void): (percent: number) => void {
  let next = 10;
  return (percent) => {
    if (percent < next) return;
    onLine(`converting: ${Math.floor(percent)} %`);
    next = Math.floor(percent / 10) * 10 + 10;
  };
}
