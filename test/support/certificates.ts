import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Authority } from '../../controller/fleet/authority.ts';

/** An authority that signs whatever is asked for, for 90 days. */
export async function anAuthority(nowMs = Date.now()): Promise<Authority> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-authority-'));
  try {
    return await Authority.open(folder, 'test', nowMs);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
