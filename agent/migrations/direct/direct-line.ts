import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { WeftError } from '../../kit/errors.ts';
import { takeOver } from '../../kit/upgrade.ts';
import { BYTES_HEADERS, type MigrationDoor } from '../../protocol/index.ts';
import { type ExpectedHost, whyNotHost } from './host-certificate.ts';
import { LINE_TLS, type LineIdentity } from './tls.ts';

export interface DirectTarget extends MigrationDoor {
  readonly host: ExpectedHost;
}

/**
 * A connection to another host's agent, which has shown that it is that host. Nothing was asked of it yet.
 * @throws WeftError `host-unreachable`, `forbidden` when it is another one.
 */
export function openLine(
  { address, port, host }: DirectTarget,
  identity: LineIdentity,
  limitMs: number,
  now: () => number,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host: address, port, ...LINE_TLS },
      ...{ ca: identity.ca, cert: identity.certificate, key: identity.key },
      // A host's certificate is none of a server: it is looked at below, and nothing is sent before.
      rejectUnauthorized: false,
    });
    const fail = (error: WeftError) => {
      clearTimeout(limit);
      socket.destroy();
      reject(error);
    };
    const unreachable = (why: string) =>
      new WeftError('host-unreachable', `${host.name} at ${address}: ${why}`);
    const limit = setTimeout(() => fail(unreachable(`no answer within ${limitMs} ms`)), limitMs);
    socket.once('error', (error) => fail(unreachable(error.message)));
    socket.once('close', () => fail(unreachable('the connection was closed')));
    socket.once('secureConnect', () => {
      const why = whyNotHost(socket.getPeerX509Certificate(), identity.ca, host, now());
      if (why !== null) {
        fail(new WeftError('forbidden', `at ${address} is not ${host.name}: ${why}`));
        return;
      }
      clearTimeout(limit);
      socket.setNoDelay(true);
      socket.removeAllListeners('close');
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

/** Asks for one connection of a migration over such a line. @throws WeftError `host-unreachable` with the other host's words. */
export function askFor(line: TLSSocket, path: string, host: string, limitMs: number): Promise<Duplex> {
  const headers = { host, ...BYTES_HEADERS };
  const call = request({ createConnection: () => line, path, headers, timeout: limitMs });
  return takeOver(call, { for: path, of: host });
}
