import { WeftError } from '../../../agent/kit/errors.ts';
import type { Command } from '../context.ts';

/** Ctrl-], as in telnet and virsh. */
const LEAVE = 0x1d;

export const consoleCommand: Command = {
  usage: '<id>',
  summary: 'the serial console of a VM; Ctrl-] leaves',
  options: [['--log', 'only print the end of the console’s log']],
  async run(context, [id = ''], options) {
    const client = await context.client();
    if (options.log) {
      context.print(`${(await client.consoleLog(id)).text}\n`);
      return 0;
    }
    const socket = client.openConsole(id);
    context.say(`console of ${id}; Ctrl-] leaves`);
    await new Promise<void>((resolve, reject) => {
      socket.on('open', () => {
        if (process.stdin.isTTY) process.stdin.setRawMode(true);
        process.stdin.on('data', (chunk: Buffer) => {
          const at = chunk.indexOf(LEAVE);
          if (at !== 0) socket.send(at < 0 ? chunk : chunk.subarray(0, at));
          if (at >= 0) socket.close();
        });
        process.stdin.on('end', () => socket.close());
      });
      socket.on('message', (data: Buffer, isBinary) => {
        if (isBinary) process.stdout.write(data);
        else reject(WeftError.fromDocument(JSON.parse(data.toString('utf8')).error));
      });
      socket.on('error', (error) =>
        reject(new WeftError('host-unreachable', `the connection broke: ${error.message}`)),
      );
      socket.on('close', () => resolve());
    }).finally(() => {
      if (process.stdin.isTTY) process.stdin.setRawMode(false);
    });
    return 0;
  },
};
