import type { Bytes } from './bytes.ts';

export type ImageFormat = 'qcow2' | 'vmdk' | 'vhd' | 'vhdx' | 'raw';

export interface ImageLimits {
  /** Largest disk that an image may declare. */
  readonly maximumVirtualBytes: number;
}

export const DEFAULT_IMAGE_LIMITS: ImageLimits = { maximumVirtualBytes: 2 * 1024 ** 4 };

export interface ImageFacts {
  readonly format: ImageFormat;
  /** Size of the disk that a guest sees. */
  readonly virtualSizeBytes: number;
}

/**
 * Reads an image's header in a bounded number of bounded reads. What it accepts refers to no other file.
 * @throws WeftError `invalid-image` and nothing else, however damaged or hostile the bytes are.
 */
export type HeaderCheck = (bytes: Bytes) => Promise<{ virtualSizeBytes: number }>;
