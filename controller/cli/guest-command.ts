import { WeftError } from '../../agent/kit/errors.ts';
import type { WeftClient } from '../client/index.ts';

const STDOUT = 1;
const MOST_BYTES = 64 * 1024;

/** Runs a command in a guest, and gives what it says on stdout. Nothing is typed into it. */
export async function runInGuest(
  client: WeftClient,
  id: string,
  command: string,
): Promise<{ readonly exitCode: number; readonly stdout: string }> {
  const socket = client.openSsh(id, { tty: false, cols: 80, rows: 24, command });
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let exitCode: number | null = null;
    socket.on('open', () => socket.send(JSON.stringify({ type: 'eof' })));
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) {
        if (data[0] === STDOUT && bytes < MOST_BYTES) chunks.push(data.subarray(1));
        bytes += data.length;
        return;
      }
      const message = JSON.parse(data.toString('utf8'));
      if (message.type === 'exit') exitCode = message.code;
      if (message.type === 'error') reject(WeftError.fromDocument(message.error));
    });
    socket.on('error', (error) =>
      reject(new WeftError('host-unreachable', `the connection broke: ${error.message}`)),
    );
    socket.on('close', () =>
      exitCode === null
        ? reject(
            new WeftError('guest-unreachable', `the connection to ${id} ended`, {
              remedy: `See: weft why ${id}`,
            }),
          )
        : resolve({ exitCode, stdout: Buffer.concat(chunks).toString('utf8') }),
    );
  });
}
