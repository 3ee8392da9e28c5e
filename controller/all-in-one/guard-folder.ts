import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';

/** As `guard` in docs/agent-configuration.md; the rest of the file is the agent's. */
const guarded = z.object({
  guard: z.object({
    enabled: z.literal(true),
    folder: z.string().startsWith('/').default('/run/weft/guard'),
  }),
});

/**
 * Where agent and guard of this host meet, if its agent's configuration turns the guard on. Null: it does not. What is wrong with the file
 * the agent says.
 */
export async function wantedGuardFolder(file: string): Promise<string | null> {
  try {
    return guarded.parse(parse(await readFile(file, 'utf8'))).guard.folder;
  } catch {
    return null;
  }
}
