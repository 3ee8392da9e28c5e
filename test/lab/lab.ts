import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { WeftError } from '../../agent/kit/errors.ts';
import { exec } from '../../agent/kit/exec.ts';
import { buildForgetful, buildPrograms, program } from './build.ts';
import type { LabClient } from './client.ts';
import { controllerPidFile, startController, usersPort, waitForFile } from './controller.ts';
import {
  agentLogTail,
  diskOf,
  execOnHost,
  keepCapabilities,
  pauseHost,
  powerOff,
  powerOn,
  prepareDisk,
  supervisedPid,
  waitForLibvirt,
} from './host.ts';
import { noteHostPower, startHostBmc, stopHostBmc } from './host-bmc.ts';
import { forgetLab, noteLab } from './labs-of-run.ts';
import {
  controllerAddress,
  forgetfulOf,
  hostAddress,
  type Layout,
  layoutOf,
  publicRange,
  publicRange6,
  REPOSITORY,
} from './layout.ts';
import { isAlive, killAndWait, recordProcess, signalProcess } from './processes.ts';
import {
  type HostState,
  type LabState,
  listLabs,
  readLabState,
  requireLabState,
  writeLabState,
} from './state.ts';
import { createBridge, createHostLink, cut, mendLink, removeWiring, takenNumbers } from './wiring.ts';

export interface UpOptions {
  readonly name: string;
  readonly hosts: number;
  readonly say?: (line: string) => void;
  /** Memory each host offers, MiB; default: an equal share of 70 % of what the machine has. */
  readonly memoryMiB?: number;
  /** Names of pools that all hosts mount. */
  readonly shared?: readonly string[];
  /** What was written to those pools and not flushed is lost with its host, as it would be on a real one. */
  readonly forgetful?: boolean;
  /** Each host has a BMC, and the controller may use it. */
  readonly bmc?: boolean;
  /** More keys of each host's agent.yaml. */
  readonly agent?: Readonly<Record<string, unknown>>;
  /** The same, where hosts differ. */
  readonly agentOf?: (host: HostState) => Readonly<Record<string, unknown>>;
  /** More arguments of the controller. */
  readonly controller?: readonly string[];
  /** How many addresses the controller may give to applications; default: none. */
  readonly publicAddresses?: number;
  /** Hosts, and this machine beside them, have IPv6 on the lab's network; public addresses are of both families. */
  readonly ipv6?: boolean;
  /** Without controller and agents: bare libvirt hosts. */
  readonly bare?: boolean;
}

const POOLS = '/var/lib/weft/pools';
/** In a host: `watchdog0/timeout`, `identity`, `nowayout`, written by tests that give it a watchdog. */
export const WATCHDOG_CLASS = '/var/lib/weft/watchdog-class';
const POOLS_LIMIT_MS = 30_000;

/** A lab: real hosts in namespaces of this machine, with a controller and joined agents. State is on disk; every call re-reads it. */
export class Lab {
  readonly layout: Layout;
  #janitor: ChildProcess | null = null;

  constructor(name: string) {
    this.layout = layoutOf(name);
  }

  /** Brings a lab up. A lab of the same name that an earlier run left is taken down first. Anything that fails takes the half-made lab down again. */
  static async up(options: UpOptions): Promise<Lab> {
    const lab = new Lab(options.name);
    const say = options.say ?? (() => undefined);
    if (process.getuid?.() !== 0)
      throw new WeftError('set-up', 'a lab needs root: it makes namespaces', { remedy: 'Run it with sudo.' });
    if (await readLabState(lab.layout)) {
      say(`lab ${options.name}: taking down what an earlier run left`);
      await lab.down();
    }
    lab.#startJanitor();
    await noteLab(options.name);
    try {
      await lab.#bringUp(options, say);
    } catch (error) {
      await lab.down();
      throw error;
    }
    return lab;
  }

  async #bringUp(options: UpOptions, say: (line: string) => void): Promise<void> {
    const { layout } = this;
    const building = options.bare ? Promise.resolve() : buildPrograms();
    const state = await claimNumber(layout, options.hosts);
    for (const pool of options.shared ?? [])
      await mkdir(join(layout.folder, 'shared', pool), { recursive: true });
    if (options.forgetful) await buildForgetful(forgetfulOf(layout));
    await createBridge(state.number, options.ipv6);
    if (!options.bare) {
      await building;
      const { controller = [], publicAddresses = 0 } = options;
      const ranges = [publicRange, ...(options.ipv6 ? [publicRange6] : [])];
      const range =
        publicAddresses === 0
          ? []
          : ['--public', ranges.map((each) => each(state.number, publicAddresses)).join()];
      const supervisor = await startController(layout, state, [...controller, ...range]);
      await this.#save({ ...state, controller: supervisor });
      await waitForFile(layout.clientConfig, 'the controller', join(layout.folder, 'controller.log'));
      say(`lab ${options.name}: controller at https://${controllerAddress(state.number)}:${usersPort}`);
    }
    const hosts = await Promise.all(
      state.hosts.map(async (host) => {
        await prepareDisk(layout, host);
        if (!options.bare) await this.#installAgent(state, host, options);
        await createHostLink(state, host, options.ipv6);
        const running = { ...host, power: await powerOn(layout, state, host) };
        await noteHostPower(layout, running);
        return running;
      }),
    );
    await this.#save({ ...(await this.state()), hosts });
    await Promise.all(hosts.map((host) => waitForLibvirt(host)));
    if (!options.bare) {
      await this.waitForHosts(hosts.map((host) => host.name));
      await this.makePools(options.shared ?? []);
      say(`lab ${options.name}: ${hosts.map((host) => host.name).join(', ')} joined`);
    }
  }

  async #installAgent(lab: LabState, host: HostState, options: UpOptions): Promise<void> {
    const client = await this.#client();
    const token = await client.mintJoinToken(host.name);
    const folder = join(diskOf(this.layout, host), 'etc/weft');
    const device = options.bmc ? await startHostBmc(this.layout, lab, host) : null;
    const memoryMiB = options.memoryMiB ?? Math.floor((totalmem() / 2 ** 20) * (0.7 / lab.hosts.length));
    const configuration = {
      name: host.name,
      faultDomain: `lab/room-1/rack-${host.number}/power-${host.number}`,
      labels: { edge: 'true' },
      capacity: { cpus: cpus().length, memoryMiB },
      cpuRatio: 16,
      reapAfterMs: 1_000,
      // The hosts of a lab share this machine's processors, and each believes them its own.
      boots: Math.max(1, Math.floor(cpus().length / lab.hosts.length)),
      pools: [
        { name: 'local', path: `${POOLS}/local` },
        ...(options.shared ?? []).map((name) => ({ name, kind: 'shared', path: `${POOLS}/${name}` })),
      ],
      ...(device === null ? {} : { fence: [device] }),
      ...options.agent,
      ...options.agentOf?.(host),
    };
    await writeFile(join(folder, 'agent.yaml'), stringify(configuration));
    await writeFile(join(folder, 'join-token'), token, { mode: 0o600 });
    const command = [
      ...program('agent/main'),
      '--config',
      '/etc/weft/agent.yaml',
      '--join-file',
      '/etc/weft/join-token',
    ];
    await writeFile(join(folder, 'agent-command'), `${command.join('\n')}\n`);
    await this.#installGuard(folder, options.agent);
  }

  /** Where a host's configuration asks for it. */
  async #installGuard(folder: string, { guard }: NonNullable<UpOptions['agent']> = {}): Promise<void> {
    if ((guard as { enabled?: boolean } | undefined)?.enabled !== true) return;
    // No lab host has a watchdog: a file may stand for one, and a folder for what sysfs says of it.
    const command = ['env', `WEFT_WATCHDOG_CLASS=${WATCHDOG_CLASS}`, ...program('agent/guard/main')];
    await writeFile(join(folder, 'guard-command'), `${command.join('\n')}\n`);
  }

  /** As an operator would, on one of the hosts; all of them offer these pools when it resolves. */
  async makePools(pools: readonly string[]): Promise<void> {
    const { hosts } = await this.state();
    const [first] = hosts;
    if (!first || pools.length === 0) return;
    for (const pool of pools)
      await execOnHost(first, [
        ...program('agent/main'),
        '--config',
        '/etc/weft/agent.yaml',
        '--init-pool',
        pool,
      ]);
    const client = await this.#client();
    const names = hosts.map(({ name }) => name);
    const missing = await client.waitForPools(names, pools, POOLS_LIMIT_MS);
    if (missing.length > 0)
      throw new WeftError(
        'timeout',
        `within ${POOLS_LIMIT_MS} ms ${missing.join(', ')} did not offer ${pools.join(', ')}`,
      );
  }

  /** Loaded when needed: taking a lab down must not depend on anything but the lab. */
  async #client(): Promise<LabClient> {
    const { createClient } = await import('./client.ts');
    return createClient(this.layout.clientConfig);
  }

  state(): Promise<LabState> {
    return requireLabState(this.layout);
  }

  async host(name: string): Promise<HostState> {
    const { hosts } = await this.state();
    const host = hosts.find((each) => each.name === name);
    if (host) return host;
    throw new WeftError('not-found', `lab ${this.layout.name} has no host ${name}`, {
      remedy: `It has ${hosts.map((each) => each.name).join(', ')}.`,
    });
  }

  /** Waits until the controller sees these hosts up. */
  async waitForHosts(names: readonly string[], limitMs = 120_000): Promise<void> {
    const client = await this.#client();
    const missing = await client.waitForHosts(names, limitMs);
    if (missing.length === 0) return;
    const logs = await Promise.all(missing.map((name) => agentLogTail(this.layout, name)));
    throw new WeftError('timeout', `within ${limitMs} ms these hosts were not up: ${missing.join(', ')}`, {
      remedy: `The end of each agent's log:\n${logs.join('\n')}`,
    });
  }

  async powerOff(name: string): Promise<void> {
    const host = await this.host(name);
    await powerOff(host);
    await this.#saveHost({ ...host, power: null });
  }

  async powerOn(name: string): Promise<void> {
    const host = await this.host(name);
    if (host.power && isAlive(host.power.init)) return;
    const running = { ...host, power: await powerOn(this.layout, await this.state(), host) };
    await this.#saveHost(running);
    await noteHostPower(this.layout, running);
  }

  async cut(name: string, from: string | null): Promise<void> {
    const state = await this.state();
    const address =
      from === null
        ? null
        : from === 'controller'
          ? controllerAddress(state.number)
          : (await this.host(from)).address;
    await cut(state, await this.host(name), address);
  }

  /** Undoes cut and pause. */
  async mend(name: string): Promise<void> {
    const host = await this.host(name);
    await mendLink(await this.state(), host);
    if (host.power && isAlive(host.power.init)) await pauseHost(host, 'SIGCONT');
  }

  async pause(name: string): Promise<void> {
    await pauseHost(await this.host(name), 'SIGSTOP');
  }

  /** The host's BMC answers no more, until it is mended. */
  async breakBmc(name: string): Promise<void> {
    await stopHostBmc(this.layout, await this.host(name));
  }

  async mendBmc(name: string): Promise<void> {
    await startHostBmc(this.layout, await this.state(), await this.host(name));
  }

  /** Gives the host's agent a new join token and starts it again, as an operator would whose controller has forgotten the host. */
  async rejoin(name: string): Promise<void> {
    const host = await this.host(name);
    const token = await (await this.#client()).mintJoinToken(name);
    await writeFile(join(diskOf(this.layout, host), 'etc/weft/join-token'), token, { mode: 0o600 });
    process.kill(await supervisedPid(host, 'weft-agent'), 'SIGKILL');
  }

  /** kill -9 of the controller on a disk that has lost its store. Its keys, certificates and blobs are kept. */
  async loseStore(): Promise<void> {
    // Unlinked files live until the process that has them open dies: nothing is written in between.
    for (const suffix of ['', '-wal', '-shm'])
      await rm(join(this.layout.controllerState, `weft.db${suffix}`), { force: true });
    process.kill(await this.controllerPid(), 'SIGKILL');
  }

  async exec(name: string, command: readonly string[], options: Parameters<typeof execOnHost>[2] = {}) {
    return execOnHost(await this.host(name), command, options);
  }

  /** Starts the controller anew with other arguments on the same state, as an operator would who changes its options. */
  async controlWith(more: readonly string[]): Promise<void> {
    const state = await this.state();
    const child = recordProcess(await this.controllerPid());
    if (state.controller) await killAndWait(state.controller);
    // It dies with its supervisor.
    if (isAlive(child)) await killAndWait(child);
    const controller = await startController(this.layout, state, more);
    await this.#save({ ...(await this.state()), controller });
  }

  /** Pid of the controller itself, below its supervisor. */
  async controllerPid(): Promise<number> {
    return Number((await readFile(controllerPidFile(this.layout), 'utf8')).trim());
  }

  /** Kills everything of the lab, removes its wiring and its folder. Works on half a lab, and on one that is already gone. */
  async down(): Promise<void> {
    const state = await readLabState(this.layout);
    if (state) {
      if (state.controller) {
        const child = await this.controllerPid().catch(() => 0);
        const record = child > 0 ? recordProcess(child) : null;
        await killAndWait(state.controller);
        // The supervised controller dies with its supervisor; this waits for it.
        if (record && isAlive(record) && (await belongsTo(child, this.layout.name)))
          await killAndWait(record);
      }
      await Promise.all(state.hosts.map((host) => powerOff(host)));
    }
    await killByMark(this.layout.name);
    if (state) {
      await removeWiring(state);
      await keepCapabilities(this.layout, state.hosts);
    }
    await rm(this.layout.folder, { recursive: true, force: true });
    await forgetLab(this.layout.name);
    this.#dismissJanitor();
  }

  /** Leaves the lab up when this process ends. */
  keep(): void {
    this.#dismissJanitor();
  }

  #startJanitor(): void {
    const script = join(REPOSITORY, 'test/lab/janitor.sh');
    this.#janitor = spawn(
      script,
      [process.execPath, join(REPOSITORY, 'test/lab/main.ts'), this.layout.name],
      {
        cwd: REPOSITORY,
        detached: true,
        stdio: ['pipe', 'ignore', 'ignore'],
      },
    );
    this.#janitor.unref();
    // Neither the janitor nor the pipe to it keeps this process alive.
    (this.#janitor.stdin as Socket | null)?.unref();
  }

  #dismissJanitor(): void {
    this.#janitor?.stdin?.end('keep\n');
    this.#janitor = null;
  }

  #save(state: LabState): Promise<void> {
    return writeLabState(this.layout, state);
  }

  async #saveHost(host: HostState): Promise<void> {
    const state = await this.state();
    await this.#save({ ...state, hosts: state.hosts.map((each) => (each.name === host.name ? host : each)) });
  }
}

/** Takes the lowest free number and writes the lab's state file before anything exists, so that `down` always knows what to look for. */
async function claimNumber(layout: Layout, hosts: number): Promise<LabState> {
  const taken = new Set(await takenNumbers());
  for (const name of await listLabs()) taken.add((await readLabState(layoutOf(name)))?.number ?? 0);
  let number = 1;
  while (taken.has(number)) number++;
  if (number > 250)
    throw new WeftError('conflict', 'all 250 lab networks are taken', {
      remedy: 'Take a lab down: npm run lab -- down --name NAME',
    });
  await mkdir(layout.folder, { recursive: true });
  // QEMU runs as libvirt's own user and must reach its disks below here.
  await chmod(layout.folder, 0o755);
  const state: LabState = {
    name: layout.name,
    number,
    controller: null,
    hosts: Array.from({ length: hosts }, (_, index) => ({
      name: `h${index + 1}`,
      number: index + 1,
      address: hostAddress(number, index + 1),
      power: null,
    })),
  };
  await writeLabState(layout, state);
  return state;
}

async function belongsTo(pid: number, lab: string): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
  return environment.split('\0').includes(`WEFT_LAB=${lab}`);
}

/** Ends what a crash between starting a process and writing its pid down left: everything of a lab carries the lab's name in its environment. */
async function killByMark(lab: string): Promise<void> {
  const { stdout } = await exec('ps', ['-e', '-o', 'pid='], { timeoutMs: 10_000 });
  for (const pid of stdout.split('\n').map(Number)) {
    if (pid > 1 && pid !== process.pid && (await belongsTo(pid, lab)))
      signalProcess(recordProcess(pid), 'SIGKILL');
  }
}
