import type { DomainSpec, DomainView, RbdVolume } from '../driver.ts';
import { MARK_PREFIX, MARK_URI, readMark } from './mark.ts';
import { composeXml, parseXml, type XmlData, type XmlElement } from './xml.ts';

/** What the host allows and how it accelerates; found by trying, once per boot. */
export interface HostAbilities {
  readonly accelerator: 'kvm' | 'tcg';
  /** A CPU cap needs the cpu controller of cgroups. */
  readonly cpuQuota: boolean;
}

/** A capability of QEMU that libvirt is told to do without; null: none. */
export type OmittedCapability = string | null;
/**
 * With it, libvirt asks QEMU for each of some 400 CPU features, one after another, before a guest runs: half a second of an
 * emulated boot. Without it, it asks for all at once. What it learns serves a check and a migration that an emulated CPU has not.
 */
export const CPU_FEATURE_QUERIES = 'cpu-unavailable-features';
const QEMU_URI = 'http://libvirt.org/schemas/domain/qemu/1.0';

/** Without a small cache each QEMU may keep a very large one of translated code. */
const TRANSLATION_CACHE_MIB = 64;
const QUOTA_PERIOD_US = 100_000;
/** An operator's own image is seldom signed by a key that the firmware knows. */
const NO_SECURE_BOOT = { '@enabled': 'no', '@name': 'secure-boot' };

/**
 * Sleeps until a driver in the guest wakes it. `pause`, not `none`: that a guest hangs is then a state, which an agent that was away
 * finds. Not `reset` either: it would take away what the guest looked like, and nobody would count it.
 * A place on the root bus: by itself libvirt would add a bridge for it, and a guest would look behind that at every boot.
 */
const WATCHDOG: XmlData = {
  '@model': 'i6300esb',
  '@action': 'pause',
  address: { '@type': 'pci', '@domain': 0, '@bus': 0, '@slot': 0x10, '@function': 0 },
};

/** libvirt's description of a VM of ours. Format: https://libvirt.org/formatdomain.html */
export function composeDomainXml(
  spec: DomainSpec,
  abilities: HostAbilities,
  omitted: OmittedCapability = null,
): string {
  const { mark } = spec;
  return composeXml({
    domain: {
      '@xmlns:qemu': omitted === null ? undefined : QEMU_URI,
      '@type': abilities.accelerator === 'kvm' ? 'kvm' : 'qemu',
      name: spec.name,
      uuid: spec.uuid,
      metadata: {
        [`${MARK_PREFIX}:vm`]: {
          [`@xmlns:${MARK_PREFIX}`]: MARK_URI,
          '@fleet': mark.fleet,
          '@id': mark.id,
          '@incarnation': mark.incarnation,
          '@kind': mark.kind,
          '@rebootGeneration': mark.rebootGeneration,
        },
      },
      memory: { '@unit': 'MiB', '#text': spec.size.memoryMiB },
      vcpu: spec.size.cpus,
      cputune: quota(spec, abilities),
      os: composeBoot(spec),
      features: features(spec, abilities),
      cpu: { '@mode': abilities.accelerator === 'kvm' ? 'host-passthrough' : 'maximum' },
      clock: { '@offset': 'utc' },
      on_poweroff: 'destroy',
      on_reboot: 'restart',
      // Kept as it was, for the agent: it counts, takes a picture, and starts it again. Also if it was away when that happened.
      on_crash: 'preserve',
      devices: composeDevices(spec),
      'qemu:capabilities': omitted === null ? undefined : { 'qemu:del': { '@capability': omitted } },
    },
  });
}

const quota = ({ size }: DomainSpec, { cpuQuota }: HostAbilities): XmlData | undefined =>
  cpuQuota && size.cpuQuotaPercent !== null
    ? { period: QUOTA_PERIOD_US, quota: Math.round((QUOTA_PERIOD_US * size.cpuQuotaPercent) / 100) }
    : undefined;

function composeBoot({ boot, architecture }: DomainSpec): XmlData {
  const type = {
    '@arch': architecture,
    '@machine': architecture === 'x86_64' ? 'q35' : 'virt',
    '#text': 'hvm',
  };
  if (boot.method === 'disk' && boot.firmware === 'uefi')
    return { '@firmware': 'efi', type, firmware: { feature: NO_SECURE_BOOT }, boot: { '@dev': 'hd' } };
  if (boot.method === 'disk') return { type, boot: { '@dev': 'hd' } };
  return { type, kernel: boot.kernel, initrd: boot.initrd ?? undefined, cmdline: boot.commandLine };
}

const features = ({ architecture }: DomainSpec, { accelerator }: HostAbilities): XmlData => ({
  acpi: {},
  apic: architecture === 'x86_64' ? {} : undefined,
  tcg: accelerator === 'tcg' ? { 'tb-cache': { '@unit': 'MiB', '#text': TRANSLATION_CACHE_MIB } } : undefined,
});

function composeDevices(spec: DomainSpec): XmlData {
  const kernelBoot = spec.boot.method === 'kernel';
  return {
    disk: [
      spec.rbd ? rbdDisk(spec, spec.rbd) : overlayDisk(spec),
      ...(spec.seedIso === null ? [] : [seedDisk(spec, spec.seedIso)]),
    ],
    interface: {
      '@type': 'network',
      mac: { '@address': spec.nic.mac },
      source: { '@network': spec.nic.network },
      // A name of its own: what this guest may send is laid down before it is there.
      target: spec.nic.tap === undefined ? undefined : { '@dev': spec.nic.tap },
      model: { '@type': spec.nic.model },
      mtu: spec.nic.mtu === undefined ? undefined : { '@size': spec.nic.mtu },
      // A boot ROM is of no use to a kernel that is handed over directly, and costs time.
      rom: kernelBoot ? { '@enabled': 'no' } : undefined,
    },
    serial: {
      '@type': 'pty',
      log: { '@file': spec.consoleLog, '@append': 'on' },
      target: { '@type': 'isa-serial', '@port': 0 },
    },
    console: { '@type': 'pty', target: { '@type': 'serial', '@port': 0 } },
    channel: { '@type': 'unix', target: { '@type': 'virtio', '@name': 'org.qemu.guest_agent.0' } },
    // Firmware that boots from disk may want a screen; it makes screenshots possible too.
    video: { model: { '@type': kernelBoot ? 'none' : 'vga' } },
    memballoon: { '@model': 'virtio', stats: { '@period': 10 } },
    rng: { '@model': 'virtio', backend: { '@model': 'random', '#text': '/dev/urandom' } },
    panic: spec.architecture === 'x86_64' ? { '@model': 'isa' } : undefined,
    watchdog: spec.architecture === 'x86_64' ? WATCHDOG : undefined,
    // Without USB there is nothing for the guest to look for.
    controller: kernelBoot ? { '@type': 'usb', '@model': 'none' } : undefined,
  };
}

function overlayDisk(spec: DomainSpec): XmlData {
  const [overlay, ...backing] = spec.chain;
  return {
    '@type': 'file',
    '@device': 'disk',
    driver: {
      '@name': 'qemu',
      '@type': 'qcow2',
      '@cache': spec.diskCache,
      '@discard': 'unmap',
    },
    source: { '@file': overlay?.path },
    target: diskTarget(spec, 0),
    backingStore: backingStore(backing),
  };
}

/** https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms; the key is libvirt's secret of that UUID. */
const rbdDisk = (spec: DomainSpec, { pool, image, conf, user, secret }: RbdVolume): XmlData => ({
  '@type': 'network',
  '@device': 'disk',
  driver: { '@name': 'qemu', '@type': 'raw', '@cache': spec.diskCache, '@discard': 'unmap' },
  auth: { '@username': user, secret: { '@type': 'ceph', '@uuid': secret.uuid } },
  source: { '@protocol': 'rbd', '@name': `${pool}/${image}`, config: { '@file': conf } },
  target: diskTarget(spec, 0),
});

/** The whole chain, ending in an empty element: nothing is left to a header's word. */
function backingStore(chain: DomainSpec['chain']): XmlData {
  const [next, ...rest] = chain;
  if (!next) return {};
  return {
    '@type': 'file',
    format: { '@type': next.format },
    source: { '@file': next.path },
    backingStore: backingStore(rest),
  };
}

const seedDisk = (spec: DomainSpec, seedIso: string): XmlData => ({
  '@type': 'file',
  '@device': spec.diskModel === 'virtio' ? 'disk' : 'cdrom',
  driver: { '@name': 'qemu', '@type': 'raw' },
  source: { '@file': seedIso },
  target: diskTarget(spec, 1),
  readonly: {},
});

const diskTarget = ({ diskModel }: DomainSpec, index: number): XmlData => ({
  '@dev': `${diskModel === 'virtio' ? 'vd' : 'sd'}${'ab'[index]}`,
  '@bus': diskModel,
});

export function hasScreen(xml: string): boolean {
  const models = parseXml(xml).child('domain')?.child('devices')?.children('video') ?? [];
  return models.some((video) => video.child('model')?.attribute('type') !== 'none');
}

export type DomainReading = Pick<DomainView, 'mark' | 'overlay' | 'files'>;

/** Whose a domain is, which overlay it writes and what else it reads, from its XML. */
export function readDomainXml(xml: string): DomainReading {
  const domain = parseXml(xml).child('domain');
  const mark = readMark(domain?.child('metadata')?.child(`${MARK_PREFIX}:vm`));
  const disks = domain?.child('devices')?.children('disk') ?? [];
  const written = disks.find(
    (each) => each.attribute('device') === 'disk' && each.child('readonly') === undefined,
  );
  const os = domain?.child('os');
  const loaded = ['kernel', 'initrd'].flatMap((each) => os?.child(each)?.text ?? []);
  return {
    mark,
    overlay: fileOf(written) ?? rbdOf(written) ?? null,
    files: [...disks.flatMap(filesOf), ...loaded],
  };
}

const fileOf = (element: XmlElement | undefined) => element?.child('source')?.attribute('file');

const rbdOf = (element: XmlElement | undefined) => {
  const source = element?.child('source');
  return source?.attribute('protocol') === 'rbd' ? `rbd:${source.attribute('name')}` : undefined;
};

function filesOf(element: XmlElement): readonly string[] {
  const below = element.child('backingStore');
  return [
    ...(fileOf(element) === undefined ? [] : [String(fileOf(element))]),
    ...(below ? filesOf(below) : []),
  ];
}
