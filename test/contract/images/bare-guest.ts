import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { writeSeedIso } from '../../../agent/guest/seed-iso.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { makeSshKeyPair } from '../../../agent/kit/ssh-keys.ts';
import type { BuiltImage } from '../../../images/recipes/contract.ts';

const { Client, utils } = ssh2;

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
}

/** A golden image under bare QEMU, without libvirt: what a recipe promises is proven here. */
export class BareGuest {
  readonly #image: BuiltImage;
  readonly #folder: string;
  readonly #memoryMiB: number;
  readonly #userKey = makeSshKeyPair('test');
  readonly #hostKey = makeSshKeyPair('test');
  #qemu: ChildProcess | null = null;
  #port = 0;

  constructor(image: BuiltImage, folder: string, memoryMiB: number) {
    this.#image = image;
    this.#folder = folder;
    this.#memoryMiB = memoryMiB;
  }

  /** Makes the overlay and the seed. */
  async prepare(hostname: string): Promise<void> {
    await writeSeedIso(
      join(this.#folder, 'seed.iso'),
      new Map([
        ['meta-data', JSON.stringify({ 'instance-id': 'i-1', 'local-hostname': hostname })],
        ['user-data', '#cloud-config\n{}\n'],
        ['weft/authorized_keys', `${this.#userKey.public} test\n`],
        ['weft/host_ed25519', this.#hostKey.private],
        ['weft/hostname', `${hostname}\n`],
        [
          'weft/network',
          'ADDRESS=10.0.2.15\nPREFIX=24\nGATEWAY=10.0.2.2\nDNS=10.0.2.3\nMAC=52:54:00:12:34:56\n',
        ],
      ]),
    );
    const create = ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', this.#image.disk];
    await exec('qemu-img', [...create, join(this.#folder, 'overlay.qcow2'), '4G'], { timeoutMs: 30_000 });
  }

  /** Starts QEMU; the guest's console goes to `console.log` in the folder. */
  async start(): Promise<void> {
    this.#port = await freePort();
    const disk = `file=${join(this.#folder, 'overlay.qcow2')},if=none,id=disk,format=qcow2`;
    const seed = `file=${join(this.#folder, 'seed.iso')},if=none,id=seed,format=raw,readonly=on`;
    const arguments_ = [
      ['-machine', 'q35', '-accel', 'tcg,tb-size=64', '-cpu', 'max', '-m', `${this.#memoryMiB}`],
      ['-nodefaults', '-display', 'none', '-serial', `file:${join(this.#folder, 'console.log')}`],
      ['-qmp', `unix:${join(this.#folder, 'qmp')},server=on,wait=off`],
      ['-kernel', this.#image.kernel, '-initrd', this.#image.initrd],
      ['-append', this.#image.traits.commandLine, '-drive', disk, '-device', 'virtio-blk-pci,drive=disk'],
      ['-drive', seed, '-device', 'virtio-blk-pci,drive=seed'],
      ['-netdev', `user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:${this.#port}-:22`],
      ['-device', 'virtio-net-pci,netdev=net,mac=52:54:00:12:34:56,romfile='],
    ].flat();
    this.#qemu = spawn('qemu-system-x86_64', arguments_, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#qemu.stderr?.pipe(createWriteStream(join(this.#folder, 'qemu.log')));
  }

  /** Runs a command over SSH, trying until the guest takes it. Only the pinned host key is accepted. */
  async ssh(command: string, limitMs: number): Promise<CommandResult> {
    const deadline = Date.now() + limitMs;
    for (;;) {
      try {
        return await this.#once(command);
      } catch (error) {
        if (Date.now() > deadline)
          throw new Error(`no SSH (${String(error)}); the console says:\n${await this.console()}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Presses the power button. @returns true when QEMU ended by itself. */
  async powerOff(limitMs: number): Promise<boolean> {
    await this.qmp('system_powerdown');
    return this.ended(limitMs);
  }

  /** Sends one QMP command; the answer is not read. */
  async qmp(command: string): Promise<void> {
    const { createConnection } = await import('node:net');
    const socket = createConnection(join(this.#folder, 'qmp'));
    const messages = `{"execute":"qmp_capabilities"}\n{"execute":${JSON.stringify(command)}}\n`;
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('data', () => socket.write(messages, () => setTimeout(resolve, 200)));
    });
    socket.destroy();
  }

  async ended(limitMs: number): Promise<boolean> {
    const deadline = Date.now() + limitMs;
    while (this.#qemu !== null && this.#qemu.exitCode === null && this.#qemu.signalCode === null) {
      if (Date.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return true;
  }

  kill(): void {
    this.#qemu?.kill('SIGKILL');
  }

  async console(): Promise<string> {
    return (await readFile(join(this.#folder, 'console.log'), 'utf8').catch(() => '')).slice(-4000);
  }

  #once(command: string): Promise<CommandResult> {
    const expected = utils.parseKey(this.#hostKey.public);
    if (expected instanceof Error) throw expected;
    const client = new Client();
    return new Promise<CommandResult>((resolve, reject) => {
      let stdout = '';
      client.on('error', reject);
      client.once('close', () => reject(new Error('closed')));
      client.once('ready', () => {
        client.exec(command, (error, channel) => {
          if (error) {
            reject(error);
            return;
          }
          channel.on('data', (bytes: Buffer) => {
            stdout += bytes.toString();
          });
          channel.stderr.resume();
          channel.once('close', (code: number | null) => resolve({ code: code ?? -1, stdout }));
        });
      });
      client.connect({
        host: '127.0.0.1',
        port: this.#port,
        username: this.#image.traits.sshUser,
        privateKey: this.#userKey.private,
        readyTimeout: 800,
        hostVerifier: (key: Buffer) => key.equals(expected.getPublicSSH()),
      });
    }).finally(() => client.destroy());
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
