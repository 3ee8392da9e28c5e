import { readFile } from 'node:fs/promises';
import { arch, cpus, totalmem } from 'node:os';
import { osInfo } from 'systeminformation';
import { exec } from '../kit/exec.ts';
import type { HostFacts } from '../protocol/index.ts';

const MIB = 2 ** 20;

const read = (path: string) =>
  readFile(path, 'utf8')
    .then((text) => text.trim())
    .catch(() => null);

/** Of this boot of this machine; another one after every restart. */
export async function readBootId(): Promise<string> {
  return (await read('/proc/sys/kernel/random/boot_id')) ?? 'unknown';
}

/** What an operator should know of this host, and what placement needs. */
export async function collectFacts(accelerator: HostFacts['accelerator']): Promise<HostFacts> {
  const [os, qemuVersion, libvirtVersion, notes] = await Promise.all([
    osInfo(),
    versionOf('qemu-system-x86_64', /version ([0-9.]+)/),
    versionOf('libvirtd', /([0-9]+\.[0-9.]+)/),
    collectNotes(),
  ]);
  return {
    hostname: os.hostname.slice(0, 253),
    architecture: arch() === 'arm64' ? 'aarch64' : 'x86_64',
    cpus: cpus().length,
    memoryMiB: Math.floor(totalmem() / MIB),
    kernel: os.kernel.slice(0, 128),
    os: `${os.distro} ${os.release}`.slice(0, 128),
    libvirtVersion,
    qemuVersion,
    accelerator,
    notes: accelerator.kind === 'kvm' ? notes : [`no KVM: ${accelerator.reason}`, ...notes],
  };
}

async function versionOf(program: string, pattern: RegExp): Promise<string> {
  const answer = await exec(program, ['--version'], { timeoutMs: 10_000 }).catch(() => null);
  return pattern.exec(answer?.stdout ?? '')?.[1]?.slice(0, 32) ?? 'unknown';
}

async function collectNotes(): Promise<string[]> {
  const [apparmor, selinux, bridged, quota] = await Promise.all([
    read('/sys/module/apparmor/parameters/enabled'),
    read('/sys/fs/selinux/enforce'),
    read('/proc/sys/net/bridge/bridge-nf-call-iptables'),
    hasCpuQuota(),
  ]);
  return [
    `AppArmor ${apparmor === 'Y' ? 'on' : 'off'}`,
    ...(selinux === '1' ? ['SELinux is enforcing, which is untested'] : []),
    ...(bridged === '1' ? ['br_netfilter is on: iptables rules see bridged frames of guests'] : []),
    ...(quota ? [] : ['no cpu controller in cgroups: CPU caps of sizes are not enforced']),
  ];
}

/** True when libvirt can cap a domain's CPU time. */
export async function hasCpuQuota(): Promise<boolean> {
  const controllers = await read('/sys/fs/cgroup/cgroup.controllers');
  if (controllers !== null) return controllers.split(' ').includes('cpu');
  return (await read('/sys/fs/cgroup/cpu/cpu.cfs_period_us')) !== null;
}
