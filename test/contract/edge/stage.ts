import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { composeKeepalivedConfiguration } from '../../../agent/edge/keepalived-configuration.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { startTicksOf } from '../../../agent/kit/processes.ts';
import type { EdgeGoal, EdgeReport, SharedAddress } from '../../../agent/protocol/network.ts';
import { endAll } from '../../support/namespace-processes.ts';
import { waitFor } from '../../support/wait-for.ts';

const HERE = import.meta.dirname;
const TSX = join(HERE, '../../../node_modules/tsx/dist/esm/index.mjs');
const ip = (...args: readonly string[]) => exec('ip', args, { timeoutMs: 20_000 });

export const VIP = '10.213.7.100';
export const VIP6 = '2001:db8:7::100';
export const MACHINE_VIP = '10.213.7.102';
export const OTHER_VIP = '10.213.7.101';
export const DROPPED_VIP = '10.213.7.103';
const OWN = { a: '10.213.7.1', b: '10.213.7.2', world: '10.213.7.3' } as const;
export type EdgeName = 'a' | 'b';

function start(namespace: string, file: string, args: readonly string[], onLine: (line: string) => void) {
  const child = spawn(
    'ip',
    ['netns', 'exec', namespace, process.execPath, '--import', TSX, join(HERE, file), ...args],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  if (child.stdout) createInterface({ input: child.stdout }).on('line', onLine);
  return child;
}

/** Two edge hosts and the world on one switch, each in a network of its own; HAProxy and keepalived are real. */
export class EdgeStage {
  readonly #mark = `we${process.pid}`;
  readonly #keepers = new Map<EdgeName, ChildProcess>();
  readonly #reports = new Map<EdgeName, EdgeReport | null>();
  readonly #answers = new Map<number, (answer: unknown) => void>();
  #folder = '';
  #world: ChildProcess | null = null;
  #asked = 0;

  async up(): Promise<void> {
    this.#folder = await mkdtemp('/var/tmp/weft-edge-');
    const lan = this.namespace('lan');
    await ip('netns', 'add', lan);
    await ip('-n', lan, 'link', 'add', 'name', 'lan', 'type', 'bridge');
    await ip('-n', lan, 'link', 'set', 'dev', 'lan', 'up');
    for (const [name, address] of Object.entries(OWN)) {
      const namespace = this.namespace(name);
      await ip('netns', 'add', namespace);
      await ip(
        '-n',
        lan,
        'link',
        'add',
        'name',
        `to-${name}`,
        'type',
        'veth',
        'peer',
        'name',
        'up0',
        'netns',
        namespace,
      );
      await ip('-n', lan, 'link', 'set', 'dev', `to-${name}`, 'master', 'lan', 'up');
      await ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'up0');
      const address6 = `2001:db8:7::${address.split('.')[3]}/64`;
      await ip('-n', namespace, 'address', 'add', address6, 'dev', 'up0', 'nodad');
      await ip('-n', namespace, 'link', 'set', 'dev', 'up0', 'up');
      await ip('-n', namespace, 'link', 'set', 'dev', 'lo', 'up');
    }
    for (const last of [11, 12, 13, 14])
      await ip('-n', this.namespace('world'), 'address', 'add', `10.213.7.${last}/24`, 'dev', 'up0');
    this.#world = start(this.namespace('world'), 'world-program.ts', [], (line) => {
      const { id, answer } = JSON.parse(line);
      this.#answers.get(id)?.(answer);
      this.#answers.delete(id);
    });
    for (const folder of [this.certificates('a'), this.kept()]) await mkdir(folder, { recursive: true });
  }

  namespace = (name: string) => `${this.#mark}-${name}`;
  folder = (edge: EdgeName) => join(this.#folder, edge, 'edge');
  /** What a controller would keep. */
  kept = () => join(this.#folder, 'kept');
  certificates = (edge: EdgeName) => join(this.#folder, edge, 'certificates');

  startKeeper(edge: EdgeName): void {
    const args = [this.folder(edge), this.certificates(edge), OWN[edge], this.kept()];
    const child = start(this.namespace(edge), 'keeper-program.ts', args, (line) =>
      this.#reports.set(edge, JSON.parse(line)),
    );
    this.#keepers.set(edge, child);
  }

  /** As kill -9 of the agent: what it has started goes on. */
  async killKeeper(edge: EdgeName): Promise<void> {
    const child = this.#keepers.get(edge);
    const ended = new Promise((resolve) => child?.once('exit', resolve));
    child?.kill('SIGKILL');
    await ended;
    this.#reports.set(edge, null);
  }

  tell(edge: EdgeName, goal: EdgeGoal): void {
    this.#keepers.get(edge)?.stdin?.write(`${JSON.stringify(goal)}\n`);
  }

  async until(
    edge: EdgeName,
    what: string,
    wanted: (report: EdgeReport) => boolean,
    limitMs = 60_000,
  ): Promise<EdgeReport> {
    const found = await waitFor(
      `${what} on ${edge}`,
      async () => this.#reports.get(edge) ?? null,
      (report) => report !== null && wanted(report),
      limitMs,
      20,
    );
    if (found === null) throw new Error('nothing was reported');
    return found;
  }

  world<T = unknown>(op: string, details: Readonly<Record<string, unknown>> = {}): Promise<T> {
    const id = ++this.#asked;
    return new Promise((resolve) => {
      this.#answers.set(id, (answer) => resolve(answer as T));
      this.#world?.stdin?.write(`${JSON.stringify({ id, op, ...details })}\n`);
    });
  }

  ask = (host = VIP, port = 80, path = '/') => this.world<string>('ask', { host, port, path });

  /** Pids of a server of an edge host, the first process first. */
  async pidsOf(edge: EdgeName, program: 'haproxy' | 'keepalived'): Promise<number[]> {
    const { stdout } = await exec('pgrep', ['-f', `^${program} .*${this.folder(edge)}/`], {
      okExitCodes: [0, 1],
    });
    // Numbers begin anew some day: the first process is not always the one of the lowest.
    const begun = (pid: number) => Number(startTicksOf(pid) ?? 0);
    const pids = stdout.split('\n').filter(Boolean).map(Number);
    return pids.toSorted((one, other) => begun(one) - begun(other) || one - other);
  }

  /** Another program that listens on an edge host, on all its addresses. */
  async listenOn(edge: EdgeName, port: number): Promise<ChildProcess> {
    const program = `require('node:net').createServer().listen(${port}, '0.0.0.0', () => console.log('up'))`;
    const child = spawn('ip', ['netns', 'exec', this.namespace(edge), process.execPath, '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    return child;
  }

  /** A connection that goes out from an edge host, at a local port of the kernel's choice, which has no other than this one. */
  async connectFrom(edge: EdgeName, localPort: number, to: string, port: number): Promise<ChildProcess> {
    const range = async (ports: string) =>
      ip(
        ...['netns', 'exec', this.namespace(edge), 'sysctl', '-qw', `net.ipv4.ip_local_port_range=${ports}`],
      );
    await range(`${localPort} ${localPort}`);
    const program = `require('node:net').connect(${port}, '${to}', () => console.log('up'))`;
    const child = spawn('ip', ['netns', 'exec', this.namespace(edge), process.execPath, '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    await range('50000 60000');
    return child;
  }

  /** As the package's removal does. */
  async endServers(edge: EdgeName): Promise<void> {
    const file = join(this.#folder, edge, 'agent.yaml');
    await writeFile(file, `stateFolder: ${join(this.#folder, edge)}\n`);
    const program = [process.execPath, '--import', TSX, join(HERE, '../../../agent/main.ts')];
    await exec('ip', ['netns', 'exec', this.namespace(edge), ...program, '--config', file, '--end-servers'], {
      timeoutMs: 60_000,
    });
  }

  /** Somebody else's. */
  async startOtherHaproxy(edge: EdgeName): Promise<ChildProcess> {
    const file = join(this.#folder, `other-${edge}.cfg`);
    const times = ['connect', 'client', 'server'].map((each) => `  timeout ${each} 5s\n`).join('');
    await writeFile(file, `defaults\n  mode tcp\n${times}listen other\n  bind 127.0.0.1:6500\n`);
    const child = spawn('ip', ['netns', 'exec', this.namespace(edge), 'haproxy', '-db', '-f', file], {
      stdio: 'ignore',
    });
    await waitFor(
      'another HAProxy to listen',
      async () =>
        (await ip('netns', 'exec', this.namespace(edge), 'ss', '-Hltn', 'sport', '=', '6500')).stdout,
      (text) => text.includes('6500'),
      30_000,
    );
    return child;
  }

  /** Somebody in the world who wants an address of the edge hosts, as one that was an edge host once and has never heard that it is none any more. */
  async startStranger(shared: SharedAddress): Promise<ChildProcess> {
    const file = join(this.#folder, 'stranger.conf');
    await writeFile(file, composeKeepalivedConfiguration([shared], { address: OWN.world, interface: 'up0' }));
    const pids = ['--pid', `${file}.pid`, '--vrrp_pid', `${file}.vrrp`];
    const program = ['keepalived', '--dont-fork', '--vrrp', '--use-file', file, ...pids];
    return spawn('ip', ['netns', 'exec', this.namespace('world'), ...program], { stdio: 'ignore' });
  }

  /** What the agent leaves that has written another configuration, and ends before it has keepalived read that. */
  writeKeepalived(edge: EdgeName, addresses: readonly SharedAddress[]): Promise<void> {
    const text = composeKeepalivedConfiguration(addresses, { address: OWN[edge], interface: 'up0' });
    return writeFile(join(this.folder(edge), 'keepalived.conf'), text);
  }

  /** Begins to count what comes to an edge host from the world by VRRP. */
  async countVrrpFromWorld(edge: EdgeName): Promise<() => Promise<number>> {
    const nft = ['netns', 'exec', this.namespace(edge), 'nft'];
    const chain = 'chain inet strangers input { type filter hook input priority 0; }';
    const rule = `rule inet strangers input ip saddr ${OWN.world} ip protocol vrrp counter`;
    await ip(...nft, `add table inet strangers; add ${chain}; add ${rule}`);
    return async () =>
      Number(/packets (\d+)/.exec((await ip(...nft, 'list', 'table', 'inet', 'strangers')).stdout)?.[1]);
  }

  link = (edge: EdgeName, state: 'up' | 'down') =>
    ip('-n', this.namespace('lan'), 'link', 'set', 'dev', `to-${edge}`, state);

  /** A backend whose address goes says nothing any more, not even that it is gone. */
  worldAddress = (change: 'add' | 'del', address: string) =>
    ip('-n', this.namespace('world'), 'address', change, `${address}/24`, 'dev', 'up0');

  async hasAddress(edge: EdgeName, address: string): Promise<boolean> {
    const { stdout } = await ip('-n', this.namespace(edge), '-o', 'address', 'show');
    return stdout.includes(` ${address}/`);
  }

  /** Pulls the plug. */
  async kill(edge: EdgeName): Promise<void> {
    await this.killKeeper(edge);
    await endAll(this.namespace(edge));
    await this.link(edge, 'down');
  }

  async down(): Promise<void> {
    this.#world?.stdin?.end();
    for (const name of [...Object.keys(OWN), 'lan']) {
      await endAll(this.namespace(name));
      await ip('netns', 'delete', this.namespace(name)).catch(() => undefined);
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}
