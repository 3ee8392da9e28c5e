import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { WeftError } from '../../agent/kit/errors.ts';

const clientConfig = z.object({ controller: z.url(), ca: z.string(), token: z.string().min(1) });
/** How to reach a controller. `ca` is PEM. */
export type ClientConfig = z.infer<typeof clientConfig>;

/** `WEFT_CONFIG`, or the user's own file. */
export const defaultConfigFile = (): string =>
  process.env.WEFT_CONFIG ?? join(homedir(), '.config', 'weft', 'config.yaml');

/** @throws WeftError `set-up` for a file that is not there or not one. */
export async function readClientConfig(file: string): Promise<ClientConfig> {
  const remedy =
    'Start a controller with "npm start", or copy its client configuration here, or point WEFT_CONFIG at it.';
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    throw new WeftError('set-up', `no client configuration at ${file}`, { remedy });
  }
  const parsed = clientConfig.safeParse(parse(text));
  if (parsed.success) return parsed.data;
  throw new WeftError('set-up', `${file} is no client configuration: it needs controller, ca and token`, {
    remedy,
  });
}
