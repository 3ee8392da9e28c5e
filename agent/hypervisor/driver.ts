import type { SizeSpec } from './size-spec.ts';

/** Which of ours a domain is: kept in libvirt's metadata element, so a restarted agent sees exactly what there is. */
export interface DomainMark {
  readonly fleet: string;
  readonly id: string;
  readonly incarnation: number;
  readonly kind: 'instance' | 'machine';
  readonly rebootGeneration: number;
  /** It came from another host, and was not let run on here yet. */
  readonly standsStill?: boolean;
}

export type DomainState = 'running' | 'paused' | 'shut-off' | 'crashed' | 'other';

export interface DomainView {
  readonly name: string;
  /** Null: not ours, never to be touched. */
  readonly mark: DomainMark | null;
  /** `crashed`: its kernel panicked, and it is kept as it was then until it is removed. `paused` by `watchdog`: likewise, it hung. */
  readonly state: DomainState;
  readonly reason: string;
  /** The disk that it writes: a file, or `rbd:POOL/IMAGE`. */
  readonly overlay: string | null;
  /** Every file it reads or writes: disks with the chains that its definition names, kernel, initrd. */
  readonly files: readonly string[];
}

export interface DiskFile {
  readonly path: string;
  readonly format: 'qcow2';
}

/** An image in Ceph that a domain writes, in place of a file, and how the hypervisor gets at it. */
export interface RbdVolume {
  /** Ceph's names. */
  readonly pool: string;
  readonly image: string;
  readonly conf: string;
  readonly user: string;
  /** The user's key is handed to the hypervisor when the domain starts; it is in no description of a domain. */
  readonly keyring: string;
  /** As what the hypervisor keeps the key. */
  readonly secret: { readonly uuid: string; readonly name: string };
}

/** Everything the domain's XML is composed from. Paths are absolute. */
export interface DomainSpec {
  readonly name: string;
  readonly uuid: string;
  readonly mark: DomainMark;
  readonly size: SizeSpec;
  readonly architecture: 'x86_64' | 'aarch64';
  /** Overlay first, then its backing chain down to the base. Empty: the disk is a volume in Ceph. */
  readonly chain: readonly DiskFile[];
  readonly rbd?: RbdVolume;
  readonly diskModel: 'virtio' | 'sata';
  /** How QEMU treats the overlay's writes and flushes. */
  readonly diskCache: 'unsafe' | 'writeback' | 'none';
  readonly seedIso: string | null;
  readonly boot:
    | {
        readonly method: 'kernel';
        readonly kernel: string;
        readonly initrd: string | null;
        readonly commandLine: string;
      }
    | { readonly method: 'disk'; readonly firmware: 'bios' | 'uefi' };
  readonly nic: {
    readonly model: 'virtio' | 'e1000e';
    readonly mac: string;
    readonly network: string;
    /** Name of its interface on the host. Absent: the hypervisor's choice. */
    readonly tap?: string;
    /** Told to the guest, where its device can. Absent: the bridge's. */
    readonly mtu?: number;
  };
  readonly consoleLog: string;
}

export type DomainEvent =
  | {
      readonly type: 'lifecycle';
      readonly name: string;
      readonly state: DomainState;
      readonly detail: string;
    }
  /** Its kernel panicked; its state is `crashed` from now on. */
  | { readonly type: 'crash'; readonly name: string }
  /** It was not fed, so the guest hangs; its state is `paused`, its reason `watchdog` from now on. */
  | { readonly type: 'watchdog'; readonly name: string }
  /** The guest switched itself off, asked to or not. It is `shut-off` a moment later. */
  | { readonly type: 'power-off'; readonly name: string }
  /** Reset, by the guest itself or by its reset button; the same domain goes on. */
  | { readonly type: 'reboot'; readonly name: string }
  | { readonly type: 'guest-agent'; readonly name: string; readonly connected: boolean }
  | { readonly type: 'io-error'; readonly name: string; readonly detail: string }
  | { readonly type: 'connected' }
  | { readonly type: 'disconnected'; readonly reason: string };

export interface NetworkSpec {
  /** libvirt's name of the network. */
  readonly name: string;
  readonly mark: { readonly fleet: string; readonly id: string };
  readonly bridge: string;
  readonly gateway: string;
  readonly prefix: number;
  readonly leases: readonly { readonly mac: string; readonly address: string; readonly hostname: string }[];
  /** Where its resolver asks for the names of a domain, and only for those. It is settled when the network is made. Absent: no domain is special. */
  readonly resolver?: { readonly zone: string; readonly address: string };
  /** Its resolver asks nobody for other names; settled when the network is made as well. Absent: it asks those that the host asks. */
  readonly namesOnly?: true;
}

/** What a network's resolver was made with. */
export type ResolverView = Pick<NetworkSpec, 'resolver' | 'namesOnly'>;

export interface NetworkView extends ResolverView {
  readonly name: string;
  readonly mark: { readonly fleet: string; readonly id: string } | null;
  readonly active: boolean;
  readonly bridge: string | null;
  readonly leases: readonly { readonly mac: string; readonly address: string; readonly hostname: string }[];
}

export interface ConsoleStream {
  readonly readable: ReadableStream<Uint8Array>;
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** What a guest's screen shows. */
export interface Screenshot {
  /** `image/x-portable-pixmap` or `image/png`. */
  readonly mimeType: string;
  readonly data: Uint8Array;
}

/**
 * The seam to the hypervisor, at its lowest useful layer. Implementations: `libvirt/` and `fake/` (fails on command);
 * both pass `test/contract/hypervisor`. Every call is idempotent: asking for what is so already is a success.
 * @throws WeftError `hypervisor-failed` when the hypervisor refuses, `host-unreachable` when it does not answer in time,
 *   `not-found` for a domain that is needed and is not there, `forbidden` for what has no mark of this fleet, `conflict` for
 *   another mark than the one that is there.
 */
export interface HypervisorDriver {
  listDomains(): Promise<readonly DomainView[]>;
  /** Defines and starts. If a domain of that name runs with the same mark it is left alone; with another mark it is refused. */
  startDomain(spec: DomainSpec): Promise<void>;
  /** Starts a defined domain that is shut off (a machine that powered itself off). */
  resumeDomain(name: string): Promise<void>;
  /** Lets a paused guest run on, such as one whose disk had no room. One that is not paused is left as it is. */
  unpauseDomain(name: string): Promise<void>;
  /** Updates the mark of a domain: its reboot generation, and that it stands still no more. A mark of another life or another VM is refused. */
  markDomain(name: string, mark: DomainMark): Promise<void>;
  /** Asks the guest to reboot; one that does not listen is reset. Resolves when that has begun. */
  rebootDomain(name: string): Promise<void>;
  /** Asks the guest to power off; true when it was off within `graceMs`. */
  shutdownDomain(name: string, graceMs: number): Promise<boolean>;
  /** Pulls the plug and removes the definition. Never touches a disk. A domain without our mark is refused. */
  removeDomain(name: string): Promise<void>;
  /** The first screen of a domain that runs, has crashed or hangs. @throws WeftError `not-supported` when it has none. */
  takeScreenshot(name: string): Promise<Screenshot>;
  /** The serial console, for one at a time: who asks last has it, and the stream before it ends. */
  openConsole(name: string): Promise<ConsoleStream>;
  listNetworks(): Promise<readonly NetworkView[]>;
  /**
   * Makes the network, or brings its reservations in line; guests on it notice nothing.
   * @returns what its resolver knows: of a network that was there, what it was made with, whatever is asked for.
   */
  ensureNetwork(spec: NetworkSpec): Promise<ResolverView>;
  /**
   * Makes the network anew, whatever is there of it: for one whose bridge somebody has deleted, which a hypervisor need not notice, or whose
   * resolver knows other names. Guests run on; their interfaces are on no bridge afterwards.
   */
  remakeNetwork(spec: NetworkSpec): Promise<void>;
  removeNetwork(name: string): Promise<void>;
  onEvent(listener: (event: DomainEvent) => void): () => void;
  close(): Promise<void>;
}
