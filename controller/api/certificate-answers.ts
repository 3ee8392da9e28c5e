import { z } from 'zod';
import { listOf } from './schemas.ts';

const texts = listOf(z.string());

/** A row of `weft certificate ls`. What is not described here does not go out. */
export const certificateRow = z.object({
  name: z.string(),
  kept: z
    .object({
      digest: z.string().describe('Of the file.'),
      names: texts,
      issuer: z.string(),
      notBeforeMs: z.number(),
      notAfterMs: z.number(),
      fingerprint: z.string().describe('SHA-256 of its DER, hex.'),
      putAtMs: z.number(),
      by: z.string(),
    })
    .nullable()
    .describe('Null: the controller has none; edge hosts use their own, where they have one.'),
  endpoints: texts,
  wanted: texts.describe('DNS names that its endpoints want it to be for; empty: somebody puts it there.'),
  renewalMs: z.number().nullable().describe('From when on the hook replaces it; null: it does not.'),
  attempt: z
    .object({
      failures: z.number(),
      failedAtMs: z.number(),
      message: z.string(),
      nextAtMs: z.number(),
      names: texts,
    })
    .nullish()
    .describe('Tries of the hook that came to nothing.'),
  hosts: listOf(
    z.object({ host: z.string(), state: z.enum(['served', 'other', 'none', 'unknown']) }),
  ).optional(),
  notes: texts,
});
