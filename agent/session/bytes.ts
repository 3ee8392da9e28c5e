import { request } from 'node:https';
import type { Duplex } from 'node:stream';
import { WeftError } from '../kit/errors.ts';
import { readText } from '../kit/read-text.ts';
import { BYTES_UPGRADE } from '../protocol/index.ts';
import type { Identity } from './identity.ts';
import { splitAddress } from './join.ts';

const REFUSAL_BYTES = 4096;

/**
 * A connection to the controller's port that carries bytes as they are, under this host's identity. No frames and no masks: what goes
 * over it is measured in gigabytes.
 * @throws WeftError `host-unreachable` with the controller's words.
 */
export function dialBytes(identity: Identity, path: string, limitMs: number): Promise<Duplex> {
  const [host, port] = splitAddress(identity.controller);
  return new Promise((resolve, reject) => {
    const fail = (message: string, cause?: unknown) =>
      reject(new WeftError('host-unreachable', `no connection for ${path}: ${message}`, { cause }));
    const call = request({
      ...{ host, port, path, agent: false, timeout: limitMs },
      ...{ ca: identity.ca, cert: identity.certificate, key: identity.key },
      headers: { connection: 'Upgrade', upgrade: BYTES_UPGRADE },
    });
    call.once('upgrade', (_response, socket, head) => {
      socket.setTimeout(0);
      socket.setNoDelay(true);
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    call.once('response', (response) => {
      void readText(response, REFUSAL_BYTES)
        .catch(() => '')
        .then((text) => fail(text || `the controller answered ${response.statusCode}`));
    });
    call.once('timeout', () => call.destroy(new Error(`silent for ${limitMs} ms`)));
    call.once('error', (error) => fail(error.message, error));
    call.end();
  });
}
