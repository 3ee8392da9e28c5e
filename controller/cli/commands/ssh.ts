import { WeftError } from '../../../agent/kit/errors.ts';
import type { Command } from '../context.ts';

const STDIN = 0;
const STDERR = 2;

export const ssh: Command = {
  usage: '<id> [command...]',
  summary: 'a shell in a VM, or a command after --; its exit code is passed on',
  passThrough: true,
  async run(context, [id = '', ...given]) {
    const words = given[0] === '--' ? given.slice(1) : given;
    const client = await context.client();
    const interactive = words.length === 0 && process.stdin.isTTY === true && process.stdout.isTTY === true;
    const { columns: cols = 80, rows = 24 } = process.stdout;
    const socket = client.openSsh(id, {
      tty: interactive,
      cols,
      rows,
      ...(words.length === 0 ? {} : { command: words.join(' ') }),
    });
    return new Promise<number>((resolve, reject) => {
      let exit: number | null = null;
      socket.on('open', () => {
        if (interactive) {
          process.stdin.setRawMode(true);
          process.stdout.on('resize', () =>
            socket.send(
              JSON.stringify({ type: 'resize', cols: process.stdout.columns, rows: process.stdout.rows }),
            ),
          );
        }
        // A terminal beside a command is not its input.
        if (process.stdin.isTTY && !interactive) socket.send(JSON.stringify({ type: 'eof' }));
        else {
          process.stdin.on('data', (chunk: Buffer) =>
            socket.send(Buffer.concat([Buffer.from([STDIN]), chunk])),
          );
          process.stdin.on('end', () => socket.send(JSON.stringify({ type: 'eof' })));
        }
      });
      socket.on('message', (data: Buffer, isBinary) => {
        if (isBinary) (data[0] === STDERR ? process.stderr : process.stdout).write(data.subarray(1));
        else {
          const message = JSON.parse(data.toString('utf8'));
          if (message.type === 'exit') exit = message.code;
          if (message.type === 'error') reject(WeftError.fromDocument(message.error));
        }
      });
      socket.on('error', (error) =>
        reject(new WeftError('host-unreachable', `the connection broke: ${error.message}`)),
      );
      socket.on('close', () =>
        exit === null
          ? reject(
              new WeftError('guest-unreachable', `the connection to ${id} ended`, {
                remedy: `See: weft why ${id}`,
              }),
            )
          : resolve(exit),
      );
    }).finally(() => {
      if (interactive) process.stdin.setRawMode(false);
    });
  },
};
