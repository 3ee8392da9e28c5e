import type { BackupRecord } from '../../../controller/model/index.ts';
import { TINY_SIZE } from './application.ts';

export const VAULT = {
  name: 'vault',
  kind: 'local',
  id: 'b00c0000-0000-4000-8000-0000000000aa',
  freeMiB: 1000,
} as const;

/** A backup of `crm/db` in the vault of h1 that is done, unless told otherwise. */
export function aBackup(overrides: Partial<BackupRecord> = {}): BackupRecord {
  return {
    id: '20260102t030405',
    vmId: 'crm/db',
    app: 'crm',
    state: 'done',
    reason: 'asked',
    target: VAULT.name,
    targetId: VAULT.id,
    host: 'h1',
    createdAtMs: 0,
    endedAtMs: 1,
    failure: null,
    made: {
      digest: `sha256:${'d'.repeat(64)}`,
      sizeBytes: 1_000,
      virtualSizeBytes: 8_000,
      consistency: 'frozen',
      atMs: 0,
    },
    image: { name: 'tiny', version: '1' },
    size: TINY_SIZE,
    pool: 'local',
    restore: null,
    ...overrides,
  };
}
