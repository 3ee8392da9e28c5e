import type { Hello } from '../../agent/protocol/index.ts';
import type { FleetRecord } from '../model/records.ts';

/** Whether a host has obeyed a goal that the store, being at this revision, cannot have sent: it is an older copy of what it was. */
export const knowsMore = (
  { fleet, epoch, revision = 0 }: Pick<Hello, 'fleet' | 'epoch' | 'revision'>,
  own: Pick<FleetRecord, 'uuid' | 'epoch'>,
  storeRevision: number,
): boolean =>
  fleet === own.uuid &&
  epoch !== undefined &&
  (epoch > own.epoch || (epoch === own.epoch && revision > storeRevision));
