import { isHandedOver } from '../../model/live-move.ts';
import type { VmRecord } from '../../model/records.ts';
import { restlessVms } from '../at-rest.ts';
import type { Draft } from '../draft.ts';
import { drainsBeforeItGoes } from '../drains.ts';

/** So long a host that is told to reboot a guest has to say that it does; until then the guest gets no new connection. */
const BEGUN_WITHIN_MS = 10_000;

/** A reboot that was asked for is told to its host when the world's connections to the guest have ended, or have had their time. */
export function followReboots(draft: Draft): void {
  for (const { id } of draft.of('vms', waitingReboots)) {
    const record = draft.get('vms', id);
    if (!record || record.rebootFrom == null) continue;
    const isWaitedFor = !record.deleting;
    // Whose it is then, and whether it works there, is not known before.
    if (isWaitedFor && isHandedOver(record)) continue;
    if (isWaitedFor && drainsBeforeItGoes(draft, record, 'it is rebooted')) continue;
    const drain = { untilMs: draft.nowMs + BEGUN_WITHIN_MS, rebooting: true };
    const isDraining = isWaitedFor && record.state === 'draining';
    draft.put('vms', id, { ...record, rebootFrom: null, ...(isDraining ? { drain } : {}) });
  }
}

const waitingReboots = (vms: readonly VmRecord[]): readonly VmRecord[] =>
  restlessVms(vms).filter(({ rebootFrom }) => rebootFrom != null);
