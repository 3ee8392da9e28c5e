import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '../../agent/kit/errors.ts';
import { exec } from '../../agent/kit/exec.ts';
import { killAndWait, recordProcess } from '../lab/processes.ts';
import { waitFor } from '../support/wait-for.ts';

const OSDS = [0, 1, 2];
const PORT = 6_789;
const LIMIT_MS = 180_000;
const ADMIN = 'client.admin';

/** A real Ceph cluster, as small as one can be: a monitor, a manager and three OSDs of one machine. It dies with this process. */
export class CephCluster {
  /** What clients are given: it names the monitor, and no key. */
  readonly clientConf: string;
  readonly #folder: string;
  readonly #conf: string;
  readonly #daemons: ChildProcess[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
    this.#conf = join(folder, 'cluster.conf');
    this.clientConf = join(folder, 'ceph.conf');
  }

  /**
   * @param folder its own, on a disk with room; without blanks.
   * @param address of this machine, IPv4 or IPv6, at which clients reach it.
   */
  static async start(folder: string, address: string): Promise<CephCluster> {
    const cluster = new CephCluster(folder);
    try {
      await cluster.#start(address);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** A pool of three copies. */
  async createPool(name: string): Promise<void> {
    await this.ceph('osd', 'pool', 'create', name, '16');
    await exec('rbd', ['--conf', this.#conf, 'pool', 'init', name], { timeoutMs: LIMIT_MS });
  }

  /** Makes a user, and its keyring beside the configuration. @returns the keyring's path. */
  async createUser(name: string, ...capabilities: string[]): Promise<string> {
    const file = join(this.#folder, `ceph.client.${name}.keyring`);
    const keyring = await this.ceph('auth', 'get-or-create', `client.${name}`, ...capabilities);
    await writeFile(file, `${keyring}\n`, { mode: 0o600 });
    return file;
  }

  /** As its administrator. @returns what was printed. */
  async ceph(...args: string[]): Promise<string> {
    return (await exec('ceph', ['--conf', this.#conf, ...args], { timeoutMs: LIMIT_MS })).stdout;
  }

  async rbd(...args: string[]): Promise<string> {
    return (await exec('rbd', ['--conf', this.#conf, ...args], { timeoutMs: LIMIT_MS })).stdout;
  }

  async blocklist(): Promise<readonly string[]> {
    // Two lists, one after the other: no one document.
    const text = await this.ceph('osd', 'blocklist', 'ls', '--format', 'json');
    return [...text.matchAll(/"addr":"([^"]+)"/g)].map(([, address]) => String(address));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#daemons.map(({ pid }) => (pid ? killAndWait(recordProcess(pid)) : undefined)));
  }

  async #start(address: string): Promise<void> {
    const folder = this.#folder;
    const fsid = randomUUID();
    for (const each of ['', 'mon', 'mgr', ...OSDS.map((id) => `osd${id}`)])
      await mkdir(join(folder, each), { recursive: true });
    await chmod(folder, 0o755);
    await writeFile(this.#conf, clusterConfiguration(folder, fsid, address));
    await writeFile(this.clientConf, clientConfiguration(fsid, address));
    await this.#makeKeyring('mon.', 'mon', ['mon', 'allow *']);
    await this.#makeKeyring(ADMIN, ADMIN, ['mon', 'allow *', 'osd', 'allow *', 'mgr', 'allow *']);
    const keyring = join(folder, 'mon.keyring');
    const map = join(folder, 'monmap');
    await this.#run('ceph-authtool', keyring, '--import-keyring', join(folder, `${ADMIN}.keyring`));
    await this.#run(
      'monmaptool',
      '--create',
      '--fsid',
      fsid,
      '--addv',
      'a',
      `[v1:${bracketed(address)}:${PORT}]`,
      map,
    );
    await this.#run('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map, '--keyring', keyring);
    this.#daemon('ceph-mon', 'a');
    const manager = await this.ceph(
      'auth',
      'get-or-create',
      'mgr.x',
      'mon',
      'allow profile mgr',
      'osd',
      'allow *',
    );
    await writeFile(join(folder, 'mgr.x.keyring'), `${manager}\n`, { mode: 0o600 });
    this.#daemon('ceph-mgr', 'x');
    await Promise.all(OSDS.map((id) => this.#makeOsd(id)));
    await waitFor(
      'the cluster to be whole',
      async () => JSON.parse(await this.ceph('osd', 'stat', '--format', 'json')) as { num_up_osds: number },
      ({ num_up_osds: up }) => up === OSDS.length,
      LIMIT_MS,
      500,
    );
  }

  async #makeOsd(id: number): Promise<void> {
    const uuid = randomUUID();
    const name = `osd.${id}`;
    await this.#makeKeyring(name, name, []);
    const keyring = await readFile(join(this.#folder, `${name}.keyring`), 'utf8');
    const key = /key = (\S+)/.exec(keyring)?.[1];
    await exec('ceph', ['--conf', this.#conf, 'osd', 'new', uuid, String(id), '-i', '-'], {
      input: JSON.stringify({ cephx_secret: key }),
      timeoutMs: LIMIT_MS,
    });
    await this.#run('ceph-osd', '-i', String(id), '--mkfs', '--osd-uuid', uuid);
    this.#daemon('ceph-osd', String(id));
  }

  async #makeKeyring(name: string, file: string, capabilities: readonly string[]): Promise<void> {
    const caps: string[] = [];
    for (let index = 0; index < capabilities.length; index += 2)
      caps.push('--cap', capabilities[index] ?? '', capabilities[index + 1] ?? '');
    const path = join(this.#folder, `${file}.keyring`);
    await this.#run('ceph-authtool', '-C', path, '--gen-key', '-n', name, ...caps);
  }

  async #run(file: string, ...args: string[]): Promise<void> {
    await exec(
      file,
      [...(file.startsWith('ceph-') && !file.includes('tool') ? ['--conf', this.#conf] : []), ...args],
      {
        timeoutMs: LIMIT_MS,
        cwd: this.#folder,
      },
    );
  }

  /** In the foreground, below this process, and never without it. */
  #daemon(program: string, id: string): void {
    const log = openSync(join(this.#folder, `${program}.${id}.out`), 'a');
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, '--conf', this.#conf, '-f', '-i', id], {
      stdio: ['ignore', log, log],
      cwd: this.#folder,
    });
    closeSync(log);
    if (child.pid === undefined) throw new WeftError('set-up', `${program} could not be started`);
    this.#daemons.push(child);
  }
}

function clientConfiguration(fsid: string, address: string): string {
  return `[global]
fsid = ${fsid}
mon host = [v1:${bracketed(address)}:${PORT}]
ms bind msgr2 = false
`;
}

const isIpv6 = (address: string) => address.includes(':');
const bracketed = (address: string) => (isIpv6(address) ? `[${address}]` : address);

/** No `admin socket`: a client that hangs would hold up each command for ten seconds. */
function clusterConfiguration(folder: string, fsid: string, address: string): string {
  return `${clientConfiguration(fsid, address)}public addr = ${address}
public network = ${address}/${isIpv6(address) ? 128 : 32}
ms bind ipv4 = ${!isIpv6(address)}
ms bind ipv6 = ${isIpv6(address)}
keyring = ${folder}/$name.keyring
run dir = ${folder}
pid file = ${folder}/$name.pid
log file = ${folder}/$name.log
auth allow insecure global id reclaim = false
mon warn on pool no redundancy = false
osd pool default size = 3
osd pool default min size = 2
osd crush chooseleaf type = 0
osd heartbeat interval = 1
osd heartbeat grace = 20
mon data = ${folder}/mon
mgr data = ${folder}/mgr
mgr initial modules =
osd data = ${folder}/osd$id
bluestore block size = 10737418240
bluestore cache autotune = false
bluestore cache size = 67108864
osd class update on start = false
`;
}
