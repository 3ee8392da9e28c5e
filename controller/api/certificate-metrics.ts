import { Gauge, type Registry } from 'prom-client';
import type { CertificateRecord } from '../model/records.ts';

/** When each certificate that is kept ends, and how often in a row its hook has failed, by name. */
export function measureCertificates(registry: Registry, certificates: readonly CertificateRecord[]): void {
  const [labelNames, registers] = [['certificate'], [registry]];
  const ends = new Gauge({
    name: 'weft_certificate_not_after_seconds',
    help: 'Unix time at which the certificate expires',
    ...{ labelNames, registers },
  });
  const failures = new Gauge({
    name: 'weft_certificate_hook_failures',
    help: 'How often in a row the hook has failed to obtain it',
    ...{ labelNames, registers },
  });
  for (const { name: certificate, kept, attempt } of certificates) {
    if (kept) ends.set({ certificate }, Math.floor(kept.notAfterMs / 1_000));
    failures.set({ certificate }, attempt?.failures ?? 0);
  }
}
