import { type ChildProcess, spawn } from 'node:child_process';
import type { SshSession } from '../../../agent/guest/ssh-session.ts';
import { waitForSsh } from '../../../agent/guest/wait-for-ssh.ts';
import { systemClock } from '../../../agent/kit/clock.ts';

/** A QEMU to start, and how to reach its guest. */
export interface BareGuest {
  readonly program: string;
  readonly arguments: readonly string[];
  readonly address: string;
  readonly hostPublicKey: string;
}

export interface BootOptions {
  readonly userPrivateKey: string;
  readonly limitMs: number;
  readonly signal: AbortSignal;
  /** Told as soon as it has begun: whoever asks for it ends it. */
  readonly onStart: (qemu: ChildProcess) => void;
}

/** Starts it, and looks for its SSH as the agent does. @throws Error when QEMU ends before that. */
export async function bootBareGuest(guest: BareGuest, options: BootOptions): Promise<SshSession> {
  // A session of its own, as libvirt's have: the kernel shares processors out between sessions.
  const qemu = spawn(guest.program, guest.arguments, {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  options.onStart(qemu);
  let words = '';
  qemu.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-2_000);
  });
  const ended = new Promise<never>((_, reject) => {
    qemu.once('error', reject);
    qemu.once('exit', (code) => reject(new Error(`QEMU ended with ${code}: ${words}`)));
  });
  ended.catch(() => undefined);
  const connected = waitForSsh({
    target: {
      host: guest.address,
      user: 'root',
      privateKey: options.userPrivateKey,
      hostPublicKey: guest.hostPublicKey,
    },
    clock: systemClock,
    limitMs: options.limitMs,
    signal: options.signal,
  });
  return Promise.race([connected, ended]);
}
