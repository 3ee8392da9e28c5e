import type { CallOptions } from './call-options.ts';
import type { Library } from './library.ts';
import { type MigrateParameters, migrateParameters } from './migrate-parameters.ts';
import type { DomainHandle, NativeDomain } from './native.ts';
import { type DomainStateView, describeState } from './states.ts';
import { Stream } from './stream.ts';
import type { TypedParameters } from './typed-parameters.ts';

export interface DomainInfo extends Pick<DomainStateView, 'state' | 'stateCode'> {
  readonly maximumMemoryKiB: bigint;
  readonly memoryKiB: bigint;
  readonly cpus: number;
  readonly cpuTimeNs: bigint;
}

export interface BlockInfo {
  readonly capacityBytes: bigint;
  /** What the guest has used of it. */
  readonly allocationBytes: bigint;
  /** What it takes on the host. */
  readonly physicalBytes: bigint;
}

export interface JobStatistics {
  readonly type: 'none' | 'bounded' | 'unbounded' | 'completed' | 'failed' | 'cancelled';
  readonly statistics: TypedParameters;
}

export interface InterfaceAddress {
  readonly type: 'ipv4' | 'ipv6';
  readonly address: string;
  readonly prefix: number;
}

export interface DomainInterface {
  readonly name: string;
  readonly mac: string | null;
  readonly addresses: readonly InterfaceAddress[];
}

export interface Screenshot {
  /** For example `image/x-portable-pixmap` or `image/png`. */
  readonly mimeType: string;
  readonly data: Buffer;
}

export interface MetadataOptions {
  /** Namespace prefix for an `element`. */
  readonly key?: string;
  /** Namespace of an `element`. */
  readonly uri?: string;
  /** DomainAffect; CURRENT by default. */
  readonly flags?: number;
}

/** A domain of one connection. It stays usable, and fails with VIR_ERR_NO_DOMAIN, after the domain is gone. */
export class Domain {
  readonly name: string;
  readonly uuid: string;
  readonly #library: Library;
  readonly #handle: DomainHandle;

  /** @internal */
  constructor(library: Library, domain: NativeDomain) {
    this.#library = library;
    this.#handle = domain.handle;
    this.name = domain.name;
    this.uuid = domain.uuid;
  }

  /** Null when it is not running. */
  async id(options?: CallOptions): Promise<number | null> {
    return this.#library.run('domainId', [this.#handle], options);
  }

  isActive(options?: CallOptions): Promise<boolean> {
    return this.#library.run('domainIsActive', [this.#handle], options);
  }

  isPersistent(options?: CallOptions): Promise<boolean> {
    return this.#library.run('domainIsPersistent', [this.#handle], options);
  }

  async getState(options?: CallOptions): Promise<DomainStateView> {
    const [state, reason] = await this.#library.run('domainState', [this.#handle], options);
    return describeState(state, reason);
  }

  async getInfo(options?: CallOptions): Promise<DomainInfo> {
    const { stateCode, ...figures } = await this.#library.run('domainInfo', [this.#handle], options);
    return { ...figures, stateCode, state: describeState(stateCode, 0).state };
  }

  /** @param flags DomainXmlFlag. */
  getXML(flags = 0, options?: CallOptions): Promise<string> {
    return this.#library.run('domainXml', [this.#handle, flags], options);
  }

  /** Starts a defined domain. @param flags DomainCreateFlag. */
  create(flags = 0, options?: CallOptions): Promise<void> {
    return this.#library.run('domainCreate', [this.#handle, flags], options);
  }

  /** Asks the guest to power off; resolves when asked, not when off. @param flags DomainShutdownFlag. */
  shutdown(flags = 0, options?: CallOptions): Promise<void> {
    return this.#library.run('domainShutdown', [this.#handle, flags], options);
  }

  /** Asks the guest to reboot. @param flags DomainRebootFlag. */
  reboot(flags = 0, options?: CallOptions): Promise<void> {
    return this.#library.run('domainReboot', [this.#handle, flags], options);
  }

  /** The reset button. */
  reset(options?: CallOptions): Promise<void> {
    return this.#library.run('domainReset', [this.#handle], options);
  }

  /** The plug. @param flags DomainDestroyFlag. */
  destroy(flags = 0, options?: CallOptions): Promise<void> {
    return this.#library.run('domainDestroy', [this.#handle, flags], options);
  }

  /** @param flags DomainUndefineFlag. */
  undefine(flags = 0, options?: CallOptions): Promise<void> {
    return this.#library.run('domainUndefine', [this.#handle, flags], options);
  }

  suspend(options?: CallOptions): Promise<void> {
    return this.#library.run('domainSuspend', [this.#handle], options);
  }

  resume(options?: CallOptions): Promise<void> {
    return this.#library.run('domainResume', [this.#handle], options);
  }

  getAutostart(options?: CallOptions): Promise<boolean> {
    return this.#library.run('domainAutostart', [this.#handle], options);
  }

  setAutostart(autostart: boolean, options?: CallOptions): Promise<void> {
    return this.#library.run('domainSetAutostart', [this.#handle, autostart], options);
  }

  /**
   * Null when there is none.
   * @param type DomainMetadataType; ELEMENT needs `uri`.
   */
  getMetadata(type: number, metadata: MetadataOptions = {}, options?: CallOptions): Promise<string | null> {
    const { uri = null, flags = 0 } = metadata;
    return this.#library.run('domainMetadata', [this.#handle, type, uri, flags], options);
  }

  /**
   * @param type DomainMetadataType; ELEMENT needs `key` and `uri`.
   * @param value text, or for ELEMENT one XML element; null removes it.
   */
  setMetadata(
    type: number,
    value: string | null,
    metadata: MetadataOptions = {},
    options?: CallOptions,
  ): Promise<void> {
    const { key = null, uri = null, flags = 0 } = metadata;
    return this.#library.run('domainSetMetadata', [this.#handle, type, value, key, uri, flags], options);
  }

  /** @param disk target (`vda`) or path. */
  getBlockInfo(disk: string, options?: CallOptions): Promise<BlockInfo> {
    return this.#library.run('domainBlockInfo', [this.#handle, disk], options);
  }

  /**
   * Migrates by `virDomainMigrateToURI3`; resolves when the guest runs there.
   * @param destination libvirt URI of the other host, as this host's daemon reaches it.
   * @param flags DomainMigrateFlag; PEER2PEER is needed with most daemons.
   */
  migrateToURI(
    destination: string | null,
    flags: number,
    parameters: MigrateParameters = {},
    options?: CallOptions,
  ): Promise<void> {
    const typed = migrateParameters(parameters);
    return this.#library.run('domainMigrateToUri', [this.#handle, destination, typed, flags], options);
  }

  /** Progress of a migration, save or dump. @param flags DomainJobStatsFlag. */
  getJobStatistics(flags = 0, options?: CallOptions): Promise<JobStatistics> {
    return this.#library.run('domainJobStatistics', [this.#handle, flags], options);
  }

  /** Stops the migration, save or dump under way. */
  abortJob(options?: CallOptions): Promise<void> {
    return this.#library.run('domainAbortJob', [this.#handle], options);
  }

  /**
   * Begins a backup of disks while the guest runs on; resolves when it has begun. It is a job like a migration: `getJobStatistics`
   * tells how it goes, `abortJob` ends it.
   * @param xml https://libvirt.org/formatbackup.html
   */
  backupBegin(xml: string, checkpointXml: string | null = null, options?: CallOptions): Promise<void> {
    return this.#library.run('domainBackupBegin', [this.#handle, xml, checkpointXml, 0], options);
  }

  /** Has the guest's agent flush and freeze all file systems. @returns how many. */
  fsFreeze(options?: CallOptions): Promise<number> {
    return this.#library.run('domainFsFreeze', [this.#handle], options);
  }

  /** @returns how many file systems were thawed. */
  fsThaw(options?: CallOptions): Promise<number> {
    return this.#library.run('domainFsThaw', [this.#handle], options);
  }

  /** Saves state to `path` on the host and stops it. @param flags DomainSaveRestoreFlag. */
  save(path: string, flags = 0, options?: CallOptions): Promise<void> {
    return this.#library.run('domainSave', [this.#handle, path, flags], options);
  }

  /** Saves state where libvirt keeps it; the next `create` restores it. @param flags DomainSaveRestoreFlag. */
  managedSave(flags = 0, options?: CallOptions): Promise<void> {
    return this.#library.run('domainManagedSave', [this.#handle, flags], options);
  }

  hasManagedSave(options?: CallOptions): Promise<boolean> {
    return this.#library.run('domainHasManagedSave', [this.#handle], options);
  }

  removeManagedSave(options?: CallOptions): Promise<void> {
    return this.#library.run('domainRemoveManagedSave', [this.#handle], options);
  }

  screenshot(screen = 0, options?: CallOptions): Promise<Screenshot> {
    return this.#library.run('domainScreenshot', [this.#handle, screen], options);
  }

  /** @param device alias (`serial0`), or null for the first console. @param flags DomainConsoleFlag. */
  async openConsole(device: string | null = null, flags = 0, options?: CallOptions): Promise<Stream> {
    return new Stream(
      this.#library,
      await this.#library.run('domainOpenConsole', [this.#handle, device, flags], options),
    );
  }

  /** @param source InterfaceAddressesSource. */
  getInterfaceAddresses(source = 0, options?: CallOptions): Promise<readonly DomainInterface[]> {
    return this.#library.run('domainInterfaceAddresses', [this.#handle, source], options);
  }

  /** @param agentTimeoutSeconds −2 block, −1 default, 0 do not wait, else seconds. Resolves the answer's JSON text. */
  qemuAgentCommand(command: string, agentTimeoutSeconds = -1, options?: CallOptions): Promise<string> {
    return this.#library.run('domainAgentCommand', [this.#handle, command, agentTimeoutSeconds], options);
  }

  /** @param flags MonitorCommandFlag: JSON (QMP) by default, HMP for the human monitor. */
  qemuMonitorCommand(command: string, flags = 0, options?: CallOptions): Promise<string> {
    return this.#library.run('domainMonitorCommand', [this.#handle, command, flags], options);
  }

  /** @param flags DomainAffect. */
  attachDevice(xml: string, flags = 0, options?: CallOptions): Promise<void> {
    return this.#library.run('domainAttachDevice', [this.#handle, xml, flags], options);
  }

  /** Resolves when asked; `device-removed` tells when done. @param flags DomainAffect. */
  detachDevice(xml: string, flags = 0, options?: CallOptions): Promise<void> {
    return this.#library.run('domainDetachDevice', [this.#handle, xml, flags], options);
  }

  /** @param flags DomainAffect. */
  updateDevice(xml: string, flags = 0, options?: CallOptions): Promise<void> {
    return this.#library.run('domainUpdateDevice', [this.#handle, xml, flags], options);
  }
}
