import type { Client, ClientChannel } from 'ssh2';
import { z } from 'zod';

/** What a user asks of a guest's SSH. */
export interface ChannelRequest {
  /** Null: a shell. */
  readonly command: string | null;
  readonly terminal: { readonly cols: number; readonly rows: number } | null;
}

export interface OpenChannel {
  readonly channel: ClientChannel;
  /** Of the command, once the channel has closed; 255 when it was ended by a signal or by the connection. */
  exitCode(): number;
}

const LOST = 255;

/** Starts a command or a shell in a channel of its own. */
export function openChannel(client: Client, { command, terminal }: ChannelRequest): Promise<OpenChannel> {
  const pty = terminal === null ? null : { ...terminal, term: 'xterm-256color' };
  return new Promise((resolve, reject) => {
    const take = (error: Error | undefined, channel: ClientChannel) => {
      if (error) {
        reject(error);
        return;
      }
      let code = LOST;
      // Here, and not where the channel is used: the exit of a short command comes in the same packet as the channel.
      channel.on('exit', (exit: number | null) => {
        code = exit ?? LOST;
      });
      resolve({ channel, exitCode: () => code });
    };
    if (command === null) client.shell(pty ?? false, take);
    else client.exec(command, pty ? { pty } : {}, take);
  });
}

const size = z.number().int().min(1).max(1000);
const control = z.discriminatedUnion('type', [
  z.object({ type: z.literal('eof') }),
  z.object({ type: z.literal('resize'), cols: size, rows: size }),
]);
export type Control = z.infer<typeof control>;

/** A text frame of the user's; null for what is none of ours, which is passed over. */
export function parseControl(text: string): Control | null {
  try {
    return control.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
