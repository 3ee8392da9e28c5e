import { expect, test } from 'vitest';
import type { BackupReport, Report } from '../../../agent/protocol/index.ts';
import { keepParts } from '../../../controller/fleet/kept-parts.ts';
import { hostsConcerned } from '../../../controller/reconciler/hosts-concerned.ts';
import { saysTheSame } from '../../../controller/reconciler/says-the-same.ts';
import { WorldCache } from '../../../controller/reconciler/world-cache.ts';
import { aBackup } from '../../support/builders/backup.ts';

const running: BackupReport = { task: 'make', vmId: 'crm/db', id: '20260102t030405', state: 'running' };
const telling = (backups: BackupReport[]): Report => ({
  ...{ type: 'report', sequence: 1, revisionSeen: 1, atMs: 0, bootId: 'boot-1' },
  ...{ vms: [], strangers: [], leaving: [], blobs: [], backups },
});

test('a report with news of a backup is news, one that says it again is not', () => {
  const before = telling([running]);
  expect(saysTheSame(before, keepParts(before, telling([{ ...running }])))).toBe(true);
  expect(saysTheSame(before, keepParts(before, telling([{ ...running, state: 'done' }])))).toBe(false);
});

test('a backup concerns the host that makes it and the one that reads it', () => {
  const restore = { request: 'r', as: 'crm/db', host: 'h2', askedAtMs: 0 } as const;
  const value = aBackup({ restore: { ...restore, state: 'verifying', failure: null } });
  const cache = new WorldCache();
  const changes = cache.apply([{ revision: 1, key: `backups/${value.vmId}/${value.id}`, value }]);
  expect([...hostsConcerned(changes, cache)].sort()).toEqual(['h1', 'h2']);
});
