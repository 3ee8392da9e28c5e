import type { HostRecord } from './records.ts';

/** Certificates are valid from so long before they are issued: clocks of hosts may be a little behind. */
export const BACKDATE_MS = 3_600_000;

/** Certificates carry whole seconds, rounded down. */
const SECOND_MS = 1_000;

/**
 * Unix ms: a host's certificate counts when it is valid from then or later. What was issued before the host's last join counts no more:
 * forgetting a host, or joining it anew, ends it.
 */
export const certifiedFromMs = ({ joinedAtMs }: Pick<HostRecord, 'joinedAtMs'>): number =>
  validFromMs(joinedAtMs);

/** Unix ms: from when on a certificate is valid that is issued now. */
export const validFromMs = (nowMs: number): number => Math.floor(nowMs / SECOND_MS) * SECOND_MS - BACKDATE_MS;
