import { basename } from 'node:path';
import type { DoctorWorld, ImageHeader } from './world.ts';

/** No chain of ours is nearly so long: one that is goes round in circles. */
export const LONGEST_CHAIN = 64;

export interface ChainLink {
  readonly path: string;
  /** Null: the file is not there. */
  readonly header: ImageHeader | null;
}

/** A disk image and what its headers say lies below it, top first; ends at the first file that is not there, or that comes again. */
export function chainOf(headers: DoctorWorld['headers'], top: string): readonly ChainLink[] {
  const chain: ChainLink[] = [];
  const seen = new Set<string>();
  for (let path: string | null = top; path !== null && chain.length < LONGEST_CHAIN && !seen.has(path); ) {
    const header: ImageHeader | null = headers.get(path) ?? null;
    chain.push({ path, header });
    seen.add(path);
    path = header?.backing ?? null;
  }
  return chain;
}

/** `sha256:…` of a file of the blob cache, by its name; null: it is none. */
export function digestOfBlob(blobFolder: string, path: string): string | null {
  const hex = /^([0-9a-f]{64})(\.qcow2)?$/.exec(basename(path))?.[1];
  return hex !== undefined &&
    path.startsWith(`${blobFolder}/`) &&
    path.slice(blobFolder.length + 1).indexOf('/') < 0
    ? `sha256:${hex}`
    : null;
}

export const layerPath = (blobFolder: string, digest: string) =>
  `${blobFolder}/${digest.slice('sha256:'.length)}.qcow2`;
