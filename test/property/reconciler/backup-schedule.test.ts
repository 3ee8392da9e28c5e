import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BACKUP_ID_PATTERN } from '../../../agent/protocol/index.ts';
import { backupIdAt, backupRef, parseBackupRef } from '../../../controller/model/backup-ids.ts';
import { beyond, dueAt } from '../../../controller/reconciler/rules/backup-schedule.ts';

const records = fc.array(
  fc.record({
    state: fc.constantFrom('wanted' as const, 'done' as const, 'failed' as const, 'removing' as const),
    reason: fc.constantFrom('asked' as const, 'scheduled' as const),
    createdAtMs: fc.integer({ min: 1, max: 1_000_000 }),
  }),
  { maxLength: 30 },
);

test('pruning leaves the newest good ones, as many as are kept, and never touches anything else', () => {
  fc.assert(
    fc.property(records, fc.integer({ min: -1, max: 10 }), (known, keep) => {
      const gone = new Set(beyond(known, keep));
      const good = known.filter(({ state, reason }) => state === 'done' && reason === 'scheduled');
      const kept = good.filter((record) => !gone.has(record));
      expect(kept).toHaveLength(Math.min(good.length, Math.max(1, keep)));
      for (const record of gone) {
        expect(good).toContain(record);
        for (const other of kept) expect(other.createdAtMs).toBeGreaterThanOrEqual(record.createdAtMs);
      }
    }),
  );
});

test('a schedule never makes two at once, nor one before its time, and always another', () => {
  fc.assert(
    fc.property(records, fc.integer({ min: 60_000, max: 10_000_000 }), (known, everyMs) => {
      const dueMs = dueAt(known, { everyMs }, 2_000_000);
      const isBeingMade = known.some(({ state }) => state === 'wanted');
      expect(dueMs === null).toBe(isBeingMade);
      if (dueMs === null) return;
      const good = known.filter(({ state, reason }) => reason === 'scheduled' && state !== 'failed');
      const last = Math.max(...good.map(({ createdAtMs }) => createdAtMs));
      const failedLater = known.some(
        ({ state, reason, createdAtMs }) =>
          reason === 'scheduled' && state === 'failed' && createdAtMs >= last,
      );
      if (good.length > 0 && !failedLater) expect(dueMs).toBe(last + everyMs);
      expect(dueMs).toBeLessThanOrEqual(Math.max(2_000_000, 1_000_000 + everyMs));
    }),
  );
});

test('ids are told apart, sort by time, and are read back from what they name', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 4_102_444_800_000 }),
      fc.integer({ min: 1, max: 5 }),
      (nowMs, count) => {
        const ids: string[] = [];
        for (let made = 0; made < count; made++) ids.push(backupIdAt(nowMs, (id) => ids.includes(id)));
        expect([...new Set(ids)].sort()).toEqual(ids);
        for (const id of ids) {
          expect(id).toMatch(BACKUP_ID_PATTERN);
          expect(parseBackupRef(backupRef({ vmId: 'crm/db', id }))).toEqual({ vmId: 'crm/db', id });
        }
      },
    ),
  );
});

test('what is no reference is none, whatever it is', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const parsed = parseBackupRef(text);
      if (parsed) expect(backupRef(parsed)).toBe(text);
    }),
  );
  for (const text of [
    'crm/db',
    'crm/db/',
    'crm/../20260102t030405',
    '/crm/db/20260102t030405',
    'crm/db/20260102t030405/x',
  ])
    expect(parseBackupRef(text)).toBeNull();
});
