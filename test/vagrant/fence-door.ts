import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exec } from '../../agent/kit/exec.ts';
import { waitFor } from '../support/wait-for.ts';
import { OUTER_ADDRESS } from './machines.ts';

const PORT = 2222;

/** An SSH server on the machines' network that lets in one key, that of the controller's fence_virsh, for as long as a test lasts. */
export class FenceDoor {
  readonly #server: ChildProcess;
  readonly #folder: string;

  private constructor(server: ChildProcess, folder: string) {
    this.#server = server;
    this.#folder = folder;
  }

  static async open(publicKey: string): Promise<FenceDoor> {
    const folder = await mkdtemp(join(tmpdir(), 'weft-fence-door-'));
    const [hostKey, keys] = [join(folder, 'host-key'), join(folder, 'authorized-keys')];
    await exec('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey], { timeoutMs: 10_000 });
    await writeFile(keys, `restrict,pty ${publicKey.trim()}\n`, { mode: 0o600 });
    // sshd wants it, whoever starts it.
    await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
    const options = [
      ...[
        `ListenAddress=${OUTER_ADDRESS}`,
        `Port=${PORT}`,
        `HostKey=${hostKey}`,
        `AuthorizedKeysFile=${keys}`,
      ],
      ...[
        'PasswordAuthentication=no',
        'KbdInteractiveAuthentication=no',
        'PermitRootLogin=prohibit-password',
      ],
      // The folder of the keys is below /tmp, which everybody can write to.
      ...['StrictModes=no', 'UsePAM=no', 'PidFile=none', 'UseDNS=no'],
    ];
    const server = spawn(
      '/usr/sbin/sshd',
      ['-D', '-e', '-f', '/dev/null', ...options.flatMap((option) => ['-o', option])],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
    const door = new FenceDoor(server, folder);
    try {
      await waitFor('sshd to listen', listens, Boolean, 30_000);
    } catch (error) {
      await door.close();
      throw error;
    }
    return door;
  }

  async close(): Promise<void> {
    this.#server.kill('SIGTERM');
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const listens = (): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ host: OUTER_ADDRESS, port: PORT, timeout: 1_000 });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
