import { type ChildProcess, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exec } from '../../../kit/exec.ts';
import { Connection } from '../../src/index.ts';

const START_LIMIT_MS = 60_000;

/** What libvirt found out about this machine's QEMU, which takes it seconds; kept between runs. */
const CAPABILITY_CACHE = '/var/cache/weft/node-libvirt/libvirt';

export interface PrivateLibvirtOptions {
  readonly name: string;
  /** The other daemon whose network this one shares, so that their QEMUs reach each other on loopback. */
  readonly beside?: PrivateLibvirt;
  /** Between keep-alives of the daemon's to its clients; libvirt's own 5 where it is left out, and none at -1. */
  readonly keepAliveSeconds?: number;
}

/**
 * A libvirtd and a virtlogd of the test's own, in their own namespaces, below a folder of their own. Everything ends with
 * `stop`, and also when the test's process is killed.
 */
export class PrivateLibvirt {
  readonly folder: string;
  readonly #process: ChildProcess;
  readonly #init: number;

  static async start({ name, beside, keepAliveSeconds = 5 }: PrivateLibvirtOptions): Promise<PrivateLibvirt> {
    const folder = await mkdtemp(join(tmpdir(), `node-libvirt-${name}-`));
    await prepareFolder(folder, keepAliveSeconds);
    const enter =
      beside === undefined
        ? ['unshare', '--net']
        : ['nsenter', '--target', `${beside.#init}`, '--net', 'unshare'];
    const isolate = [
      ...enter,
      '--mount',
      '--uts',
      '--ipc',
      '--pid',
      '--fork',
      '--mount-proc',
      '--kill-child',
    ];
    const script = join(import.meta.dirname, 'daemon-init.sh');
    const log = openSync(join(folder, 'init.log'), 'a');
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', '--', ...isolate, 'tini', '-s', '--', 'bash', script, folder, name],
      { stdio: ['ignore', log, log] },
    );
    const libvirt = new PrivateLibvirt(folder, child, await onlyChildOf(child));
    await libvirt.answers();
    return libvirt;
  }

  private constructor(folder: string, child: ChildProcess, init: number) {
    this.folder = folder;
    this.#process = child;
    this.#init = init;
  }

  get socket(): string {
    return join(this.folder, 'run/libvirt-sock');
  }

  get uri(): string {
    return `qemu:///system?socket=${this.socket}`;
  }

  /** As another daemon reaches it for a migration; libvirt wants the transport spelt out for that. */
  get migrationUri(): string {
    return `qemu+unix:///system?socket=${this.socket}`;
  }

  /** Runs a command inside the daemon's namespaces. */
  async run(...command: readonly string[]): Promise<string> {
    const enter = ['--target', `${this.#init}`, '--mount', '--uts', '--net', '--pid', '--'];
    return (await exec('nsenter', [...enter, ...command], { timeoutMs: 60_000 })).stdout;
  }

  /** Signals libvirtd. After KILL another one starts within a second. */
  async signal(signal: 'KILL' | 'STOP' | 'CONT'): Promise<void> {
    await this.run('sh', '-c', 'kill -"$1" "$(cat /run/libvirtd.pid)"', 'sh', signal);
  }

  /** Waits until libvirtd takes a connection. */
  async answers(): Promise<void> {
    const giveUpMs = Date.now() + START_LIMIT_MS;
    for (;;) {
      try {
        const connection = await Connection.open(this.uri, { events: [], timeoutMs: 5_000 });
        await connection.close();
        return;
      } catch (error) {
        if (Date.now() > giveUpMs || this.#process.exitCode !== null)
          throw new Error(`libvirtd did not start: ${await this.#logs()}`, { cause: error });
        await sleep(50);
      }
    }
  }

  async stop(): Promise<void> {
    await cp(join(this.folder, 'var/cache/libvirt'), CAPABILITY_CACHE, {
      recursive: true,
      preserveTimestamps: true,
      force: true,
    }).catch(() => undefined);
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      process.kill(this.#init, 'SIGKILL');
      await ended;
    }
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  async #logs(): Promise<string> {
    const files = ['init.log', 'var/log/libvirt/libvirtd.out'].map((file) => join(this.folder, file));
    return (await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')))).join('\n');
  }
}

async function prepareFolder(folder: string, keepAliveSeconds: number): Promise<void> {
  await mkdir(join(folder, 'run'));
  await mkdir(join(folder, 'var/cache'), { recursive: true });
  await cp('/etc/libvirt', join(folder, 'etc/libvirt'), { recursive: true, verbatimSymlinks: true });
  await rm(join(folder, 'etc/libvirt/qemu'), { recursive: true, force: true });
  const settings = [
    `unix_sock_dir = "${folder}/run"`,
    `host_uuid = "${crypto.randomUUID()}"`,
    'auth_unix_rw = "none"',
    'unix_sock_rw_perms = "0700"',
    `keepalive_interval = ${keepAliveSeconds}`,
  ];
  await writeFile(join(folder, 'etc/libvirt/libvirtd.conf'), `${settings.join('\n')}\n`);
  await writeFile(
    join(folder, 'etc/libvirt/qemu.conf'),
    'security_driver = "none"\nremember_owner = 0\nuser = "root"\ngroup = "root"\n',
  );
  await cp(CAPABILITY_CACHE, join(folder, 'var/cache/libvirt'), {
    recursive: true,
    preserveTimestamps: true,
  }).catch(() => undefined);
}

/** The first process of the new PID namespace. */
async function onlyChildOf(parent: ChildProcess): Promise<number> {
  for (let waitedMs = 0; waitedMs < 10_000; waitedMs += 10) {
    const children = await readFile(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').catch(
      () => '',
    );
    const [child] = children.trim().split(' ');
    if (child !== undefined && child !== '') return Number(child);
    await sleep(10);
  }
  throw new Error('the namespaces of libvirtd were not made');
}
