import { X509Certificate } from 'node:crypto';

/** Which host the other end of a connection has to be. */
export interface ExpectedHost {
  readonly name: string;
  /** Unix ms: its certificate is valid from then or later. One from before it last joined counts no more. */
  readonly certifiedFromMs: number;
}

/** Extended key usage `clientAuth`: what the fleet's authority gives to hosts, and to nobody else. */
const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2';

/**
 * Why a certificate is not that of the expected host; null: it is. Certificates of hosts are for clients alone, so that no host passes
 * for the controller. Between hosts one of both has to answer as a server all the same: this asks of a certificate, in either
 * part, everything that makes it the host's, and goes by no name that a server may have. That the other end has its key is TLS's to show.
 * @param ca PEM of the fleet's CA, which signs hosts' certificates itself.
 */
export function whyNotHost(
  certificate: X509Certificate | undefined,
  ca: string,
  { name, certifiedFromMs }: ExpectedHost,
  nowMs: number,
): string | null {
  if (!certificate) return 'it has no certificate';
  const authority = new X509Certificate(ca);
  if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey))
    return 'its certificate is not of this fleet';
  if (certificate.ca || !certificate.keyUsage?.includes(CLIENT_AUTHENTICATION))
    return 'its certificate is not that of a host';
  if (certificate.subject !== `CN=${name}`)
    return `its certificate is not that of ${name}, but of ${JSON.stringify(certificate.subject)}`;
  const [fromMs, toMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (!(fromMs <= nowMs && nowMs <= toMs)) return `the certificate of ${name} is not valid now`;
  return fromMs >= certifiedFromMs ? null : `${name} has joined anew since its certificate was issued`;
}
