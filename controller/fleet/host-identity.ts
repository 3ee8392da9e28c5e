import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { WeftError } from '../../agent/kit/errors.ts';
import { certifiedFromMs, validFromMs } from '../model/host-certificates.ts';
import type { HostRecord, RemovedRecord } from '../model/records.ts';
import type { Store } from '../store/contract.ts';

/**
 * Which host is on the other end of a connection. Its certificate is signed by our CA, names a host that is in the fleet, and
 * was issued at or after that host's last join: forgetting a host, or joining it anew, ends what was issued before.
 * @throws WeftError `unauthorized`, with the detail `removed` where an operator has removed the host since.
 */
export async function hostOf(socket: TLSSocket, store: Store): Promise<HostRecord> {
  if (!socket.authorized) throw refusal('a host certificate of this fleet is needed');
  const certificate = new X509Certificate(socket.getPeerCertificate().raw);
  const name = /(?:^|\n)CN=([^\n]+)/.exec(certificate.subject)?.[1] ?? '';
  const fromMs = Date.parse(certificate.validFrom);
  const host = (await store.get(`hosts/${name}`))?.value as HostRecord | undefined;
  if (!host) {
    // A store that knows nothing of a host may be an empty one: only what an operator did ends what a host does.
    const removed = (await store.get(`removed/${name}`))?.value as RemovedRecord | undefined;
    const isRemoved = removed !== undefined && fromMs <= validFromMs(removed.atMs);
    throw refusal(`host ${name} is not in this fleet any more`, isRemoved);
  }
  if (fromMs < certifiedFromMs(host))
    throw refusal(`host ${name} has joined anew since this certificate was issued`);
  return host;
}

const refusal = (message: string, isRemoved = false) =>
  new WeftError('unauthorized', message, {
    remedy: 'Join it again with a new token: weft host token',
    ...(isRemoved ? { details: { removed: true } } : {}),
  });
