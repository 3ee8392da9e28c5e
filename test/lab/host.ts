import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findAccelerator } from '../../agent/hypervisor/accelerator.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { type ExecOptions, type ExecResult, exec } from '../../agent/kit/exec.ts';
import { readBootId } from '../../agent/observer/facts.ts';
import { type Layout, namespaceName, REPOSITORY } from './layout.ts';
import { firstChild, isAlive, killAndWait, processesInNamespaceOf, recordProcess } from './processes.ts';
import { spawnDetached } from './spawn.ts';
import type { HostState, LabState } from './state.ts';

/** libvirt's answers about this machine's QEMU take seconds to find out; they are the same for every lab on it. */
const CAPABILITY_CACHE = '/var/cache/weft/lab/libvirt';
/** Every boot of a lab host has a boot id of its own, but the machine below is tried once. */
const ACCELERATOR_CACHE = '/var/cache/weft/lab/accelerator.json';

const LOG_TAIL_LINES = 5;
const LOG_LINE_CHARACTERS = 400;

export const diskOf = (layout: Layout, host: HostState) => join(layout.folder, host.name);

/** What a host's disk holds before its first boot. */
export async function prepareDisk(layout: Layout, host: HostState): Promise<void> {
  const disk = diskOf(layout, host);
  await mkdir(join(disk, 'etc/weft'), { recursive: true, mode: 0o755 });
  await cp('/etc/libvirt', join(disk, 'etc/libvirt'), { recursive: true, verbatimSymlinks: true });
  // No domain or network of the machine's own installation, and no security driver: namespaces have none.
  await rm(join(disk, 'etc/libvirt/qemu'), { recursive: true, force: true });
  await writeFile(
    join(disk, 'etc/libvirt/libvirtd.conf'),
    'unix_sock_group = "root"\nunix_sock_rw_perms = "0700"\nauth_unix_rw = "none"\n',
  );
  await writeFile(join(disk, 'etc/libvirt/qemu.conf'), 'security_driver = "none"\nremember_owner = 0\n');
  await cp(CAPABILITY_CACHE, join(disk, 'var/cache/libvirt'), {
    recursive: true,
    preserveTimestamps: true,
  }).catch(() => undefined);
}

/** Keeps what libvirt found out, for the next lab. Hosts that found out nothing leave what is kept alone. */
export async function keepCapabilities(layout: Layout, hosts: readonly HostState[]): Promise<void> {
  for (const host of hosts) {
    const source = join(diskOf(layout, host), 'var/cache/libvirt');
    const found = await readdir(join(source, 'qemu/capabilities')).catch(() => []);
    if (found.length === 0) continue;
    await mkdir(CAPABILITY_CACHE, { recursive: true });
    await cp(source, CAPABILITY_CACHE, { recursive: true, preserveTimestamps: true, force: true });
    return;
  }
}

/** The last lines that a host's agent wrote, cut to a readable width. */
export async function agentLogTail(layout: Layout, host: string): Promise<string> {
  const log = await readFile(join(layout.folder, host, 'var/lib/weft/agent.log'), 'utf8').catch(() => '');
  const lines = log.trimEnd().split('\n').slice(-LOG_TAIL_LINES);
  return lines.map((line) => `  ${host}: ${line.slice(0, LOG_LINE_CHARACTERS)}`).join('\n');
}

/** Boots a lab host: its namespaces, its init, and below it virtlogd, libvirtd and, if one was installed, the agent. */
export async function powerOn(
  layout: Layout,
  lab: LabState,
  host: HostState,
): Promise<NonNullable<HostState['power']>> {
  const init = join(REPOSITORY, 'test/lab/host-init.sh');
  const disk = diskOf(layout, host);
  const accelerator = await findAccelerator({
    cacheFile: ACCELERATOR_CACHE,
    bootId: await readBootId(),
    override: process.env.WEFT_ACCELERATOR,
  });
  const pid = spawnDetached(
    'ip',
    [
      ...['netns', 'exec', namespaceName(lab.name, host.name)],
      ...[
        'unshare',
        '--mount',
        '--uts',
        '--pid',
        '--fork',
        '--mount-proc',
        '--kill-child',
        'tini',
        '-s',
        '--',
        init,
        host.name,
        disk,
      ],
    ],
    join(layout.folder, `${host.name}.log`),
    { WEFT_LAB: layout.name, WEFT_ACCELERATOR: accelerator.kind },
  );
  // `ip netns exec` becomes `unshare`, whose one child is the host's first process.
  return { unshare: recordProcess(pid), init: recordProcess(await firstChild(pid)) };
}

/** Pulls the plug: every process of the host ends at once. */
export async function powerOff(host: HostState): Promise<void> {
  if (!host.power) return;
  await killAndWait(host.power.init);
  await killAndWait(host.power.unshare);
}

function initOf(host: HostState): number {
  if (host.power && isAlive(host.power.init)) return host.power.init.pid;
  throw new WeftError('host-unreachable', `lab host ${host.name} is off`, {
    remedy: `npm run lab -- power-on ${host.name}`,
  });
}

export async function pauseHost(host: HostState, signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
  for (const pid of await processesInNamespaceOf(initOf(host))) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended meanwhile.
    }
  }
}

/** The nsenter prefix that runs a command inside the host. */
export function enterHost(host: HostState): readonly string[] {
  return ['nsenter', '--target', String(initOf(host)), '--mount', '--uts', '--net', '--pid', '--'];
}

export async function execOnHost(
  host: HostState,
  command: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const [file, ...args] = [...enterHost(host), ...command];
  if (file === undefined) throw new WeftError('usage', 'no command given');
  return exec(file, args, options);
}

/** Waits until libvirtd of this host answers. */
export async function waitForLibvirt(host: HostState, limitMs = 60_000): Promise<void> {
  for (let waitedMs = 0; waitedMs < limitMs; waitedMs += 100) {
    const socket = await execOnHost(host, ['test', '-S', '/run/libvirt/libvirt-sock'], {
      okExitCodes: [0, 1],
    });
    if (socket.exitCode === 0) return;
    await sleep(100);
  }
  throw new WeftError('timeout', `libvirtd of ${host.name} did not answer within ${limitMs} ms`);
}

/** Pid, as this machine sees it, of a supervised program inside the host: `libvirtd-supervised`, `weft-agent`. */
export async function supervisedPid(
  host: HostState,
  name: 'weft-agent' | 'weft-guard' | 'libvirtd-supervised' | 'virtlogd-supervised',
): Promise<number> {
  const inside = (await execOnHost(host, ['cat', `/run/${name}.pid`])).stdout.trim();
  for (const pid of await processesInNamespaceOf(initOf(host))) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const numbers = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
    if (numbers.at(-1) === inside) return pid;
  }
  throw new WeftError('not-found', `${name} does not run on ${host.name}`);
}
