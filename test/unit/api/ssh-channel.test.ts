import { connect, createServer, type Server as NetServer } from 'node:net';
import { PassThrough } from 'node:stream';
import ssh2 from 'ssh2';
import { afterEach, describe, expect, test } from 'vitest';
import { makeSshKeyPair } from '../../../agent/kit/ssh-keys.ts';
import { openChannel, parseControl } from '../../../controller/api/ssh-channel.ts';

const key = makeSshKeyPair('test');
let server: NetServer | null = null;
afterEach(() => void server?.close());

/** A client of an SSH server whose every command ends at once with this code. Its packets arrive in bunches. */
async function clientOf(exitCode: number): Promise<ssh2.Client> {
  const ssh = new ssh2.Server({ hostKeys: [key.private] }, (connection) => {
    connection.on('error', () => undefined);
    connection.on('authentication', (attempt) => attempt.accept());
    connection.on('ready', () =>
      connection.on('session', (accept) =>
        accept().on('exec', (take) => {
          const stream = take();
          stream.write('done\n');
          stream.exit(exitCode);
          stream.end();
        }),
      ),
    );
  });
  server = createServer((socket) => {
    // Nothing leaves before the turn is over: the answer, the output and the exit come together.
    const write = socket.write.bind(socket);
    socket.write = ((chunk: Uint8Array, ...rest: []) => {
      if (socket.writableCorked === 0) {
        socket.cork();
        setImmediate(() => socket.uncork());
      }
      return write(chunk, ...rest);
    }) as typeof socket.write;
    ssh.injectSocket(socket);
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const client = new ssh2.Client();
  await new Promise<void>((resolve, reject) => {
    client.once('ready', resolve).once('error', reject);
    client.connect({ sock: connect(port, '127.0.0.1'), username: 'root', privateKey: key.private });
  });
  return client;
}

describe('a command in a guest', () => {
  test('has its exit code, also when it ends in the packet that it begins in', async () => {
    const client = await clientOf(7);
    for (let count = 0; count < 20; count++) {
      const { channel, exitCode } = await openChannel(client, { command: 'true', terminal: null });
      const output = new PassThrough();
      channel.pipe(output);
      await new Promise((resolve) => channel.once('close', resolve));
      expect([exitCode(), String(output.read())]).toEqual([7, 'done\n']);
    }
    client.end();
  });
});

describe('a text frame of a user', () => {
  test('is an end of input or a new size', () => {
    expect(parseControl('{"type":"eof"}')).toEqual({ type: 'eof' });
    expect(parseControl('{"type":"resize","cols":80,"rows":24}')).toEqual({
      type: 'resize',
      cols: 80,
      rows: 24,
    });
  });

  test.each([
    '',
    '{',
    'null',
    '{"type":"resize","cols":"80","rows":24}',
    '{"type":"resize","cols":-1,"rows":1e9}',
    '{"type":"exit"}',
  ])('is passed over when it is nothing of ours: %s', (text) => expect(parseControl(text)).toBeNull());
});
