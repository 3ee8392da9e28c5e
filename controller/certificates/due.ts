import { isSameDocument } from '../../agent/kit/same-document.ts';
import { uncovered } from '../model/dns-names.ts';
import type { CertificateRecord, KeptCertificate } from '../model/records.ts';
import type { CertificateUse } from './uses.ts';

/** A certificate that the hook is to obtain now. */
export interface Due {
  readonly name: string;
  /** DNS names that it is to be for. */
  readonly names: readonly string[];
  /** Why, for the log. */
  readonly why: string;
}

/** From when on it is to be replaced: when a third of its life is left. */
export const renewalMs = ({
  notBeforeMs,
  notAfterMs,
}: Pick<KeptCertificate, 'notBeforeMs' | 'notAfterMs'>): number =>
  notAfterMs - Math.floor((notAfterMs - notBeforeMs) / 3);

type Known = Pick<CertificateRecord, 'kept' | 'askedAtMs'>;
export const NOTHING: Known = { kept: null };

/** Why a certificate is to be obtained, whatever was tried; null: it is as it should be, or nobody says for which names it is to be. */
export function whyWanted(
  { kept, askedAtMs = 0 }: Known,
  { names }: Pick<CertificateUse, 'names'>,
  nowMs: number,
): string | null {
  if (names.length === 0) return null;
  if (!kept) return 'there is none';
  const missing = uncovered(names, kept.names);
  if (missing.length > 0) return `it is not for ${missing.join(', ')}`;
  if (askedAtMs > kept.putAtMs) return 'it was asked for';
  return nowMs >= renewalMs(kept) ? 'less than a third of its life is left' : null;
}

/** Failures make it wait, but not for what was asked for since. */
const waitsUntilMs = ({ attempt, askedAtMs = 0 }: CertificateRecord, { names }: CertificateUse): number =>
  attempt && isSameDocument(attempt.names, names) && askedAtMs <= attempt.failedAtMs ? attempt.nextAtMs : 0;

/**
 * What the hook is to obtain now, and when the next look is due; null: no such time. After a failure it waits, unless other names are wanted
 * by now, or it was asked for. Pure.
 */
export function planObtaining(
  records: readonly CertificateRecord[],
  uses: ReadonlyMap<string, CertificateUse>,
  nowMs: number,
): { readonly due: readonly Due[]; readonly nextMs: number | null } {
  const known = new Map(records.map((record) => [record.name, record]));
  const due: Due[] = [];
  const times: number[] = [];
  for (const [name, use] of uses) {
    const record = known.get(name);
    const kept = record?.kept ?? null;
    const why = whyWanted(record ?? NOTHING, use, nowMs);
    const waits = record ? waitsUntilMs(record, use) : 0;
    if (why === null) {
      if (kept && use.names.length > 0) times.push(renewalMs(kept));
    } else if (waits > nowMs) times.push(waits);
    else due.push({ name, names: use.names, why });
  }
  return { due, nextMs: times.length === 0 ? null : Math.min(...times) };
}
