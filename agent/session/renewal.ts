import { X509Certificate } from 'node:crypto';
import type { Clock, Timer } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';
import type { JoinResponse } from '../protocol/index.ts';
import type { Identity } from './identity.ts';

export interface RenewalOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly identity: () => Identity;
  readonly renew: (csr: string) => Promise<JoinResponse>;
  readonly onRenewed: (identity: Identity) => Promise<void>;
}

const LOOK_EVERY_MS = 3_600_000;
/** Renewed when less than this share of the certificate's life is left. */
const SHARE_LEFT = 1 / 3;

/** True when a certificate is in the last third of its life. */
export function isDue(certificate: string, nowMs: number): boolean {
  const { validFrom, validTo } = new X509Certificate(certificate);
  const from = Date.parse(validFrom);
  const to = Date.parse(validTo);
  return to - nowMs < (to - from) * SHARE_LEFT;
}

/** Renews the host's certificate, with a new key, before it expires. @returns stop. */
export function renewWhenDue(options: RenewalOptions): () => void {
  const { clock, log, identity, renew, onRenewed } = options;
  let timer: Timer;
  const look = async () => {
    try {
      const now = identity();
      if (isDue(now.certificate, clock.now())) {
        // Loaded when it is needed: what makes certificates takes as much memory as all the rest of a session.
        const { makeCertificateRequest } = await import('./csr.ts');
        const { key, csr } = await makeCertificateRequest(now.hostName);
        const { certificate, ca } = await renew(csr);
        await onRenewed({ ...now, key, certificate, ca });
        log.info('the certificate of this host was renewed');
      }
    } catch (error) {
      log.warn({ err: error }, 'the certificate of this host could not be renewed; trying again in an hour');
    }
    timer = clock.after(LOOK_EVERY_MS, () => void look());
  };
  timer = clock.after(0, () => void look());
  return () => timer.cancel();
}
