import type { FindingReport } from '../protocol/index.ts';
import type { Finding, Repair } from './findings.ts';

export const MOST_FINDINGS = 100;
/** The protocol's limits: a report that breaks one is lost as a whole. */
const SUBJECT_CHARACTERS = 4_096;
const MESSAGE_CHARACTERS = 8_192;

export const reportOf = (
  { kind, subject, severity, message, remedy, repair }: Finding,
  sinceMs: number,
): FindingReport => ({
  kind,
  subject: subject.slice(0, SUBJECT_CHARACTERS),
  severity,
  message: message.slice(0, MESSAGE_CHARACTERS),
  ...(remedy === undefined ? {} : { remedy }),
  ...(repair === null ? {} : { repair: describeRepair(repair) }),
  sinceMs,
});

/** What a repair does, as a person reads it: `removes …`. */
export function describeRepair(repair: Repair): string {
  switch (repair.kind) {
    case 'remove-half-made':
    case 'remove-lone-owner':
    case 'remove-seed':
      return 'removes the file';
    case 'remove-empty-folder':
      return 'removes the folder';
    case 'remove-blob':
      return 'removes it from the image cache';
    case 'remove-image':
      return repair.of === 'trashed' ? 'removes it for good' : 'puts it into Ceph’s trash, for ten minutes';
    case 'remove-bridge':
      return 'removes the bridge';
    case 'remove-table':
      return 'removes the table';
  }
}
