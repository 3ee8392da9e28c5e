import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { enterHost } from '../lab/host.ts';
import { REPOSITORY } from '../lab/layout.ts';
import type { HostState } from '../lab/state.ts';
import type { BenchFleet } from './fleet.ts';

/** One stands still while its memory is sent, as emulated guests of Weft do, the other one runs on. */
export type PlainWay = 'still' | 'live';
const DOOR_PORTS = { still: 16_600, live: 16_601 } as const;
/** So long a guest that boots says something new on its console. */
const QUIET_MS = 5_000;

/**
 * A guest like one of Weft's, of which Weft knows nothing, moved by `virsh migrate` from host to host: QEMU to QEMU over TCP. The lab's
 * daemons listen on unix sockets only, so libvirt's own few words pass through a door.
 */
export class PlainGuest {
  readonly #fleet: BenchFleet;
  readonly #doors: readonly ChildProcess[];
  readonly #name: string;
  readonly #way: PlainWay;
  #host: string;
  /** By an emulator, not by KVM. */
  #isEmulated = true;

  private constructor(fleet: BenchFleet, host: string, way: PlainWay, doors: readonly ChildProcess[]) {
    this.#fleet = fleet;
    this.#host = host;
    this.#way = way;
    this.#name = `plain-${way}`;
    this.#doors = doors;
  }

  /** How Weft moves one of the kind. */
  get wayOfWeft(): PlainWay {
    return this.#isEmulated ? 'still' : 'live';
  }

  /** Boots one beside it, with the same devices, on a disk of its own above the same layer, and waits until it is up. */
  static async like(fleet: BenchFleet, id: string, way: PlainWay): Promise<PlainGuest> {
    const { host, overlay } = await fleet.detail(id);
    if (host === null || overlay === null) throw new Error(`${id} runs nowhere`);
    const { hosts } = await fleet.lab.state();
    const guest = new PlainGuest(
      fleet,
      host,
      way,
      hosts.flatMap((each) => doorsOf(each, hosts, way)),
    );
    const listed = await guest.#on('virsh', 'list', '--name');
    const domain = listed.split('\n').find((name) => name.includes(`-${id.replace('/', '-')}-`)) ?? '';
    const xml = await guest.#on('virsh', 'dumpxml', '--inactive', domain);
    guest.#isEmulated = !/<domain [^>]*type='kvm'/.test(xml);
    const layer = /<source file='([^']*blobs[^']*\.qcow2)'/.exec(xml)?.[1];
    if (layer === undefined) throw new Error(`the disk of ${id} has no layer below it`);
    const seed = /<source file='([^']*seed-\d+\.iso)'/.exec(xml)?.[1] ?? '';
    // On storage that both hosts have.
    const [disk, copy] = [`${overlay}.${guest.#name}.qcow2`, `${overlay}.${guest.#name}.iso`];
    await guest.#on('cp', seed, copy);
    await guest.#on('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', layer, disk, '256M');
    await fleet.lab.exec(host, ['sh', '-c', 'cat > /run/plain.xml && virsh create /run/plain.xml'], {
      input: described(xml, guest.#name, way, [overlay, disk], [seed, copy]),
    });
    await guest.#isQuiet();
    return guest;
  }

  async move(): Promise<{ downtimeMs: number; totalMs: number; wallMs: number }> {
    const { hosts } = await this.#fleet.lab.state();
    const there = hosts.find(({ name }) => name !== this.#host);
    if (!there) throw new Error('there is no other host');
    const startedMs = performance.now();
    await this.#on(
      ...['virsh', 'migrate', ...(this.#way === 'live' ? ['--live', '--auto-converge'] : [])],
      ...['--p2p', '--unsafe', '--abort-on-error', this.#name],
      ...[`qemu+unix:///system?socket=${socketOf(this.#way)}`, `tcp://${there.address}`],
    );
    const wallMs = performance.now() - startedMs;
    this.#host = there.name;
    const told = await this.#on('virsh', 'domjobinfo', '--completed', this.#name);
    const figure = (label: string) => Number(new RegExp(`^${label}:\\s+(\\d+)\\s+ms`, 'm').exec(told)?.[1]);
    return { downtimeMs: figure('Total downtime'), totalMs: figure('Time elapsed'), wallMs };
  }

  /**
   * Kept from running while another one is measured: an emulated guest that has moved is translated anew when it next does something,
   * which takes a processor for 0.15 s.
   */
  async hold(): Promise<void> {
    await this.#on('virsh', 'suspend', this.#name);
  }

  async letGo(): Promise<void> {
    await this.#on('virsh', 'resume', this.#name);
  }

  async remove(): Promise<void> {
    await this.#on('virsh', 'destroy', this.#name);
    for (const door of this.#doors) door.kill('SIGKILL');
  }

  async #on(...command: string[]): Promise<string> {
    return (await this.#fleet.lab.exec(this.#host, command, { timeoutMs: 120_000 })).stdout;
  }

  async #isQuiet(): Promise<void> {
    let size = '';
    for (let waitedMs = 0; waitedMs < QUIET_MS; ) {
      const now = await this.#on('wc', '-c', consoleOf(this.#name));
      waitedMs = now === size && !now.startsWith('0 ') ? waitedMs + 500 : 0;
      size = now;
      await sleep(500);
    }
  }
}

/** Another name and address, nothing of ours about it, and another disk and console; all else stays as it is. */
const described = (
  xml: string,
  name: string,
  way: PlainWay,
  ...files: readonly (readonly [from: string, to: string])[]
): string =>
  xml
    .replace(/<name>[^<]*<\/name>/, `<name>${name}</name>`)
    .replace(/<uuid>[^<]*<\/uuid>/, `<uuid>${randomUUID()}</uuid>`)
    .replace(/<metadata>[\s\S]*?<\/metadata>/, '')
    .replace(/<mac address='([^']*)..'\/>/, `<mac address='$1${way === 'live' ? 'fd' : 'fe'}'/>`)
    .replace(/<log file='[^']*'/, `<log file='${consoleOf(name)}'`)
    .replace(/(?<=file=)'([^']*)'/g, (all, path) => {
      const place = files.find(([from]) => from === path)?.[1];
      return place === undefined ? all : `'${place}'`;
    });

const consoleOf = (name: string) => `/run/${name}.log`;
const socketOf = (way: PlainWay) => `/run/plain-${way}.sock`;

/** One to this host's libvirt from the network, and one from here to that of the other host. */
function doorsOf(host: HostState, hosts: readonly HostState[], way: PlainWay): ChildProcess[] {
  const other = hosts.find(({ name }) => name !== host.name);
  return [
    [String(DOOR_PORTS[way]), '/run/libvirt/libvirt-sock'],
    [socketOf(way), `${other?.address}:${DOOR_PORTS[way]}`],
  ].map(([listen = '', target = '']) => {
    const [program = '', ...enter] = enterHost(host);
    const script = join(REPOSITORY, 'test/bench/door.mjs');
    return spawn(program, [...enter, process.execPath, script, listen, target], { stdio: 'ignore' });
  });
}
