import { createHash } from 'node:crypto';

/** `sha256:` and hex, of something small enough to be in memory. */
export const digestOf = (content: string | Uint8Array): string =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`;
