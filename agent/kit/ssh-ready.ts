import type { Client } from 'ssh2';

/**
 * To be called before the client connects. An error after that is the client's end, and nobody's here.
 * @throws Error what was wrong; also where the other side ends the connection between its first word and the end of the handshake, of which
 * ssh2 1.17 tells by `close` alone.
 */
export function untilReady(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.once('ready', () => resolve());
    client.on('error', reject);
    client.once('close', () => {
      const lost = new Error('the connection was lost in its handshake');
      reject(Object.assign(lost, { code: 'ECONNRESET' }));
    });
  });
}
