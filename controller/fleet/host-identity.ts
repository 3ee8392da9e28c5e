import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { WeftError } from '../../agent/kit/errors.ts';
import { certifiedFromMs } from '../model/host-certificates.ts';
import type { HostRecord } from '../model/records.ts';
import type { Store } from '../store/contract.ts';

/**
 * Which host is on the other end of a connection. Its certificate is signed by our CA, names a host that is in the fleet, and
 * was issued at or after that host's last join: forgetting a host, or joining it anew, ends what was issued before.
 * @throws WeftError `unauthorized`.
 */
export async function hostOf(socket: TLSSocket, store: Store): Promise<HostRecord> {
  if (!socket.authorized) throw refusal('a host certificate of this fleet is needed');
  const certificate = new X509Certificate(socket.getPeerCertificate().raw);
  const name = /(?:^|\n)CN=([^\n]+)/.exec(certificate.subject)?.[1] ?? '';
  const host = (await store.get(`hosts/${name}`))?.value as HostRecord | undefined;
  if (!host) throw refusal(`host ${name} is not in this fleet any more`);
  if (Date.parse(certificate.validFrom) < certifiedFromMs(host))
    throw refusal(`host ${name} has joined anew since this certificate was issued`);
  return host;
}

const refusal = (message: string) =>
  new WeftError('unauthorized', message, { remedy: 'Join it again with a new token: weft host token' });
