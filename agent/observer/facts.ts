import { createHash } from 'node:crypto';
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
  const [os, qemuVersion, libvirtVersion, notes, cpu] = await Promise.all([
    osInfo(),
    versionOf('qemu-system-x86_64', /version ([0-9.]+)/),
    versionOf('libvirtd', /([0-9]+\.[0-9.]+)/),
    collectNotes(),
    readCpu(),
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
    ...(cpu === null ? {} : { cpu }),
    notes: accelerator.kind === 'kvm' ? notes : [`no KVM: ${accelerator.reason}`, ...notes],
  };
}

/** Model and features of the first processor, as the kernel has them; of the features a digest, to be compared. */
async function readCpu(): Promise<HostFacts['cpu'] | null> {
  const text = await read('/proc/cpuinfo');
  const field = (pattern: RegExp) => pattern.exec(text ?? '')?.[1]?.trim() ?? null;
  const features = field(/^(?:flags|Features)\s*:(.*)$/m);
  if (features === null) return null;
  const sorted = features.split(/\s+/).sort().join(' ');
  return {
    model: (field(/^model name\s*:(.*)$/m) ?? 'unknown').slice(0, 256),
    features: createHash('sha256').update(sorted).digest('hex').slice(0, 16),
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
