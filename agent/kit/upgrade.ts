import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WeftError } from './errors.ts';
import { readText } from './read-text.ts';

const REFUSAL_BYTES = 4096;

/**
 * Sends an HTTP request that asks for an upgrade, and takes its connection over when it is granted: from then on it carries bytes as they
 * are. Its `timeout` is how long an answer may take.
 * @param what for messages: what it is a connection for, and of whom it is asked.
 * @throws WeftError `host-unreachable` with the other side's words.
 */
export function takeOver(call: ClientRequest, what: { for: string; of: string }): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const fail = (message: string, cause?: unknown) =>
      reject(new WeftError('host-unreachable', `no connection for ${what.for}: ${message}`, { cause }));
    call.once('upgrade', (_response, socket: Socket, head) => {
      socket.setTimeout(0);
      socket.setNoDelay(true);
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    call.once('response', (response) => {
      void readText(response, REFUSAL_BYTES)
        .catch(() => '')
        .then((text) => fail(text || `${what.of} answered ${response.statusCode}`));
    });
    call.once('timeout', () => call.destroy(new Error(`${what.of} does not answer`)));
    call.once('error', (error) => fail(error.message, error));
    call.end();
  });
}
