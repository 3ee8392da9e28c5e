import type { z } from 'zod';

const LONGEST = 1_000;

/** What is wrong with a frame, in one line: where, and what. */
export function problemOf({ issues }: z.ZodError): string {
  const [first] = issues;
  const place = first?.path.map(String).join('.');
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  return `${place || 'the frame'}: ${first?.message ?? 'not understood'}${more}`.slice(0, LONGEST);
}
