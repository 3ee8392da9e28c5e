import { createHash, X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { WeftError } from '../kit/errors.ts';
import {
  type JoinResponse,
  type JoinTokenPayload,
  joinResponse,
  joinTokenPayload,
} from '../protocol/index.ts';
import type { Identity } from './identity.ts';

const LIMIT_MS = 20_000;
/** Extended key usage `serverAuth`. */
const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';

/** @throws WeftError `unauthorized` for what is no join token. */
export function parseJoinToken(token: string): JoinTokenPayload {
  const body = /^weft1\.([A-Za-z0-9_-]+)$/.exec(token.trim())?.[1];
  try {
    return joinTokenPayload.parse(JSON.parse(Buffer.from(body ?? '', 'base64url').toString('utf8')));
  } catch {
    throw new WeftError('unauthorized', 'this is no join token', {
      remedy: 'Make one with: weft host token',
    });
  }
}

/**
 * Exchanges a one-use token for a certificate. The server is believed only when its chain ends in the CA whose fingerprint
 * the token carries; the token is sent after that.
 */
export async function join(token: string, hostName: string): Promise<Identity> {
  const payload = parseJoinToken(token);
  const { makeCertificateRequest } = await import('./csr.ts');
  const { key, csr } = await makeCertificateRequest(hostName);
  const answer = await post(payload, { token: token.trim(), hostName, csr });
  if (fingerprint(new X509Certificate(answer.ca).raw) !== payload.caFingerprint)
    throw new WeftError('unauthorized', 'the controller sent another CA than the one its token names');
  return {
    fleet: answer.fleet,
    hostName: answer.hostName,
    controller: payload.controller,
    epoch: 1,
    joinedWith: hashOfToken(token),
    key,
    certificate: answer.certificate,
    ca: answer.ca,
  };
}

/** Tells one token from another without keeping either. */
export const hashOfToken = (token: string): string => createHash('sha256').update(token.trim()).digest('hex');

const fingerprint = (der: Buffer) => createHash('sha256').update(der).digest('hex');

function post(payload: JoinTokenPayload, body: unknown): Promise<JoinResponse> {
  const [host, port] = splitAddress(payload.controller);
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host,
        port,
        path: '/agent/v1/join',
        method: 'POST',
        // The chain is checked against the token's fingerprint below, before anything is sent.
        rejectUnauthorized: false,
        agent: false,
        timeout: LIMIT_MS,
        headers: { 'content-type': 'application/json' },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          try {
            const document = JSON.parse(Buffer.concat(chunks).toString('utf8'));
            if (response.statusCode !== 200) reject(WeftError.fromDocument(document));
            else resolve(joinResponse.parse(document));
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error(`no answer within ${LIMIT_MS} ms`)));
    call.on('error', (error) =>
      reject(
        error instanceof WeftError
          ? error
          : new WeftError(
              'host-unreachable',
              `cannot reach the controller at ${payload.controller}: ${error.message}`,
              {
                remedy: 'Is it running, and is the port open?',
                cause: error,
              },
            ),
      ),
    );
    call.on('socket', (socket) => {
      socket.once('secureConnect', () => {
        if (chainHas(socket as TLSSocket, payload.caFingerprint)) call.end(JSON.stringify(body));
        else
          call.destroy(
            new WeftError(
              'unauthorized',
              `${payload.controller} is not the controller that made this token`,
              {
                remedy: 'Make a new token with: weft host token',
              },
            ),
          );
      });
    });
  });
}

/** True when the certificate is that of a server, and was signed, directly or not, by the CA with this fingerprint. */
function chainHas(socket: TLSSocket, caFingerprint: string): boolean {
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  let child: X509Certificate | null = null;
  for (let depth = 0; certificate?.raw !== undefined && depth < 5; depth++) {
    const parsed: X509Certificate = new X509Certificate(certificate.raw);
    // A host of the fleet has a certificate of its CA too: it is none of a server.
    if (!child && !parsed.keyUsage?.includes(SERVER_AUTHENTICATION)) return false;
    if (child && !child.verify(parsed.publicKey)) return false;
    if (fingerprint(certificate.raw) === caFingerprint) return true;
    const issuer: DetailedPeerCertificate | undefined = certificate.issuerCertificate;
    if (issuer === certificate) return false;
    child = parsed;
    certificate = issuer;
  }
  return false;
}

export function splitAddress(address: string): [host: string, port: number] {
  const url = new URL(address.includes('://') ? address : `https://${address}`);
  return [url.hostname.replace(/^\[|\]$/g, ''), Number(url.port || 443)];
}
