import { EventEmitter } from 'node:events';
import type { CallOptions } from './call-options.ts';
import { Domain } from './domain.ts';
import { emitApart } from './emit.ts';
import { describeNotice, EVENT_NAMES } from './event-names.ts';
import type { CloseEvent, ConnectionEvents, LibvirtEventName } from './events.ts';
import { type Library, loadLibrary } from './library.ts';
import type { ConnectionHandle, NativeConnection, NodeInfo, Notice, Versions } from './native.ts';
import { Network } from './network.ts';
import { SECRET_USAGES, type Secret } from './secret.ts';
import type { TypedParameters } from './typed-parameters.ts';

export interface KeepAlive {
  /** A probe is sent after this long without a message. */
  readonly intervalSeconds: number;
  /** The connection is given up, with `close` by `keepalive`, after this many probes without an answer. */
  readonly count: number;
}

export interface OpenOptions extends CallOptions {
  readonly readOnly?: boolean;
  /** Default: 5 s, 3 probes. `null`: none. Drivers without a daemon have none. */
  readonly keepAlive?: KeepAlive | null | undefined;
  /** Threads that may wait for libvirt at once, not counting withdrawn calls. Default 4. */
  readonly workers?: number;
  /** What to subscribe to, before `open` resolves. Default: everything. */
  readonly events?: readonly LibvirtEventName[];
}

export interface DomainStatistics {
  readonly domain: Domain;
  readonly statistics: TypedParameters;
}

/**
 * One connection to a libvirt daemon or driver. It has its own worker threads, so a call that hangs holds up neither
 * other connections nor Node's own pool. An open connection without a call under way does not keep the process alive.
 */
export class Connection extends EventEmitter<ConnectionEvents> {
  readonly uri: string;
  /** Events that the driver does not have. */
  readonly unsupportedEvents: readonly LibvirtEventName[];
  readonly #library: Library;
  readonly #handle: ConnectionHandle;
  readonly #number: number;
  /** Notices that came before `open`'s caller could listen; null once they were told. */
  #early: Notice[] | null = [];
  #lost = false;
  #closing: Promise<void> | null = null;

  /**
   * Listeners added right after `await` hear everything since the subscription.
   * @param library for tests.
   * @throws LibvirtError, CallTimeoutError, AddonNotBuiltError, or the signal's reason.
   */
  static async open(uri: string, options: OpenOptions = {}, library = loadLibrary()): Promise<Connection> {
    const { keepAlive = { intervalSeconds: 5, count: 3 }, workers = 4, events = EVENT_NAMES } = options;
    return library.run(
      'connectionOpen',
      [
        uri,
        options.readOnly === true ? 1 : 0,
        workers,
        keepAlive?.intervalSeconds ?? 0,
        keepAlive?.count ?? 0,
        events,
      ],
      options,
      // Made with the batch: the notices behind it are this connection's already.
      (native) => new Connection(library, uri, native),
    );
  }

  private constructor(library: Library, uri: string, native: NativeConnection) {
    super();
    this.uri = uri;
    this.unsupportedEvents = native.unsupportedEvents;
    this.#library = library;
    this.#handle = native.handle;
    this.#number = native.number;
    library.listen(native.number, (notice) => {
      if (notice.event === 'close') this.#lost = true;
      if (this.#early === null) this.#tell(notice);
      else this.#early.push(notice);
    });
    setImmediate(() => this.#tellEarly());
  }

  /** Closed by us, or lost. */
  get closed(): boolean {
    return this.#lost || this.#closing !== null;
  }

  /**
   * Frees the connection and all its domains, networks and streams; later calls on them fail with VIR_ERR_INVALID_CONN.
   * Calls under way finish first. Safe to call again. Its options limit the wait only: the connection is freed anyway.
   */
  close(options?: CallOptions): Promise<void> {
    if (this.#closing === null) {
      this.#tellEarly();
      this.#closing = this.#library.run('connectionClose', [this.#handle], options);
      if (!this.#lost) this.#end({ reason: 'client' });
    }
    return this.#closing;
  }

  getVersions(options?: CallOptions): Promise<Versions> {
    return this.#library.run('connectionVersions', [this.#handle], options);
  }

  /** False after the daemon has gone; tells nothing about one that hangs, for that there is keep-alive. */
  isAlive(options?: CallOptions): Promise<boolean> {
    return this.#library.run('connectionIsAlive', [this.#handle], options);
  }

  getUri(options?: CallOptions): Promise<string> {
    return this.#library.run('connectionUri', [this.#handle], options);
  }

  getHostname(options?: CallOptions): Promise<string> {
    return this.#library.run('connectionHostname', [this.#handle], options);
  }

  /** Resolves XML. */
  getCapabilities(options?: CallOptions): Promise<string> {
    return this.#library.run('connectionCapabilities', [this.#handle], options);
  }

  /** Resolves XML for the emulator that these would choose. */
  getDomainCapabilities(
    choice: {
      readonly emulator?: string;
      readonly architecture?: string;
      readonly machine?: string;
      /** `kvm` or `qemu`. */
      readonly type?: string;
    } = {},
    options?: CallOptions,
  ): Promise<string> {
    const { emulator = null, architecture = null, machine = null, type = null } = choice;
    return this.#library.run(
      'connectionDomainCapabilities',
      [this.#handle, emulator, architecture, machine, type],
      options,
    );
  }

  getNodeInfo(options?: CallOptions): Promise<NodeInfo> {
    return this.#library.run('connectionNodeInfo', [this.#handle], options);
  }

  /** Resolves false when the other side has no keep-alive. Null turns it off. */
  setKeepAlive(keepAlive: KeepAlive | null, options?: CallOptions): Promise<boolean> {
    const { intervalSeconds, count } = keepAlive ?? { intervalSeconds: 0, count: 0 };
    return this.#library.run('connectionSetKeepAlive', [this.#handle, intervalSeconds, count], options);
  }

  /** Defines, or redefines one of the same name and uuid. @param flags DomainDefineFlag. */
  async defineDomain(xml: string, flags = 0, options?: CallOptions): Promise<Domain> {
    return new Domain(
      this.#library,
      await this.#library.run('domainDefine', [this.#handle, xml, flags], options),
    );
  }

  /** Starts a transient domain. @param flags DomainCreateFlag. */
  async createDomain(xml: string, flags = 0, options?: CallOptions): Promise<Domain> {
    return new Domain(
      this.#library,
      await this.#library.run('domainCreateXml', [this.#handle, xml, flags], options),
    );
  }

  /** @throws LibvirtError VIR_ERR_NO_DOMAIN. */
  async lookupDomainByName(name: string, options?: CallOptions): Promise<Domain> {
    return new Domain(
      this.#library,
      await this.#library.run('domainLookupByName', [this.#handle, name], options),
    );
  }

  /** @throws LibvirtError VIR_ERR_NO_DOMAIN. */
  async lookupDomainByUuid(uuid: string, options?: CallOptions): Promise<Domain> {
    return new Domain(
      this.#library,
      await this.#library.run('domainLookupByUuid', [this.#handle, uuid], options),
    );
  }

  /** @throws LibvirtError VIR_ERR_NO_DOMAIN. */
  async lookupDomainById(id: number, options?: CallOptions): Promise<Domain> {
    return new Domain(
      this.#library,
      await this.#library.run('domainLookupById', [this.#handle, id], options),
    );
  }

  /** @param flags ListDomainsFlag. */
  async listAllDomains(flags = 0, options?: CallOptions): Promise<readonly Domain[]> {
    const domains = await this.#library.run('domainListAll', [this.#handle, flags], options);
    return domains.map((domain) => new Domain(this.#library, domain));
  }

  /**
   * @param groups DomainStatsGroup; 0 means all.
   * @param flags AllDomainStatsFlag.
   */
  async getAllDomainStats(
    groups = 0,
    flags = 0,
    options?: CallOptions,
  ): Promise<readonly DomainStatistics[]> {
    const records = await this.#library.run('connectionDomainStats', [this.#handle, groups, flags], options);
    return records.map(([domain, statistics]) => ({ domain: new Domain(this.#library, domain), statistics }));
  }

  /** Starts the domain saved in `path` on the host. @param flags DomainSaveRestoreFlag. */
  restoreDomain(path: string, xml: string | null = null, flags = 0, options?: CallOptions): Promise<void> {
    return this.#library.run('connectionRestore', [this.#handle, path, xml, flags], options);
  }

  async defineNetwork(xml: string, options?: CallOptions): Promise<Network> {
    return new Network(this.#library, await this.#library.run('networkDefine', [this.#handle, xml], options));
  }

  /** Starts a transient network. */
  async createNetwork(xml: string, options?: CallOptions): Promise<Network> {
    return new Network(
      this.#library,
      await this.#library.run('networkCreateXml', [this.#handle, xml], options),
    );
  }

  /** @throws LibvirtError VIR_ERR_NO_NETWORK. */
  async lookupNetworkByName(name: string, options?: CallOptions): Promise<Network> {
    return new Network(
      this.#library,
      await this.#library.run('networkLookupByName', [this.#handle, name], options),
    );
  }

  /** @throws LibvirtError VIR_ERR_NO_NETWORK. */
  async lookupNetworkByUuid(uuid: string, options?: CallOptions): Promise<Network> {
    return new Network(
      this.#library,
      await this.#library.run('networkLookupByUuid', [this.#handle, uuid], options),
    );
  }

  /** @param flags ListNetworksFlag. */
  async listAllNetworks(flags = 0, options?: CallOptions): Promise<readonly Network[]> {
    const networks = await this.#library.run('networkListAll', [this.#handle, flags], options);
    return networks.map((network) => new Network(this.#library, network));
  }

  /** Defines a secret, or redefines the one of its UUID. It has no value by that. @returns its UUID. */
  defineSecret(xml: string, options?: CallOptions): Promise<string> {
    return this.#library.run('secretDefine', [this.#handle, xml, 0], options);
  }

  /** The bytes themselves, not in base64. @throws LibvirtError VIR_ERR_NO_SECRET. */
  setSecretValue(uuid: string, value: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#library.run('secretSetValue', [this.#handle, uuid, value], options);
  }

  /** @throws LibvirtError VIR_ERR_NO_SECRET. */
  undefineSecret(uuid: string, options?: CallOptions): Promise<void> {
    return this.#library.run('secretUndefine', [this.#handle, uuid], options);
  }

  async listAllSecrets(options?: CallOptions): Promise<readonly Secret[]> {
    const secrets = await this.#library.run('secretListAll', [this.#handle, 0], options);
    return secrets.map(({ uuid, usageType, usageId }) => ({
      uuid,
      usage: SECRET_USAGES[usageType] ?? 'other',
      usageId: usageId ?? '',
    }));
  }

  #tellEarly(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const notice of early) this.#tell(notice);
  }

  #tell(notice: Notice): void {
    const described = describeNotice(notice);
    if (described.event === 'close') {
      this.#end(described.payload);
    } else {
      emitApart(this, described.event, described.payload);
    }
  }

  #end(event: CloseEvent): void {
    this.#library.unlisten(this.#number);
    emitApart(this, 'close', event);
  }
}
