import {
  type Connection,
  type Domain,
  DomainAffect,
  DomainConsoleFlag,
  DomainMetadataType,
  DomainUndefineFlag,
  ErrorCode,
  isLibvirtError,
  ReconnectingConnection,
} from '@weft/node-libvirt';
import { WeftError } from '../../kit/errors.ts';
import type { Logger } from '../../kit/log.ts';
import type {
  ConsoleStream,
  DomainEvent,
  DomainMark,
  DomainSpec,
  DomainView,
  HypervisorDriver,
  NetworkSpec,
  NetworkView,
  ResolverView,
  Screenshot,
} from '../driver.ts';
import { requireOurs, requireSameLife } from '../marks.ts';
import { noScreen } from '../no-screen.ts';
import { LibvirtBackups, type WithDomain } from './backups.ts';
import { keepKey, removeKeys } from './ceph-keys.ts';
import { consoleStream } from './console-stream.ts';
import {
  CPU_FEATURE_QUERIES,
  composeDomainXml,
  type DomainReading,
  type HostAbilities,
  hasScreen,
  type OmittedCapability,
  readDomainXml,
} from './domain-xml.ts';
import { forwardEvents, waitForEvent } from './events.ts';
import { composeMark, MARK_PREFIX, MARK_URI } from './mark.ts';
import { LibvirtMigrations } from './migrations.ts';
import { LibvirtNetworks } from './networks.ts';
import { toDomainState, toWeftError } from './translate.ts';

/** Calls that only ask. */
const ASK = { timeoutMs: 15_000 };
/** Calls that start or stop a QEMU, or make libvirt look at the QEMU that is installed, as the first definition does. */
const WORK = { timeoutMs: 90_000 };
/** A guest that was asked to reboot has this long before its reset button is pressed. */
const REBOOT_GRACE_MS = 45_000;

export interface LibvirtDriverOptions {
  readonly uri: string;
  readonly fleet: string;
  readonly abilities: HostAbilities;
  readonly log: Logger;
  readonly rebootGraceMs?: number;
  /** What libvirt is told to do without; by default its queries of CPU features, where the CPU is emulated. */
  readonly omittedCapability?: OmittedCapability;
}

/** Domains and networks through libvirt. libvirt keeps the truth; here is only a cache of what our own marks say. */
export class LibvirtDriver implements HypervisorDriver {
  readonly backups: LibvirtBackups;
  readonly migrations: LibvirtMigrations;
  readonly #fleet: string;
  readonly #connection: ReconnectingConnection;
  readonly #abilities: HostAbilities;
  readonly #rebootGraceMs: number;
  readonly #log: Logger;
  #omitted: OmittedCapability;
  readonly #networks: LibvirtNetworks;
  readonly #listeners = new Set<(event: DomainEvent) => void>();
  /** What each domain's XML says of mark and files; dropped when libvirt says that it was defined or undefined. */
  readonly #read = new Map<string, DomainReading>();

  constructor(options: LibvirtDriverOptions) {
    this.#fleet = options.fleet;
    this.#abilities = options.abilities;
    this.#rebootGraceMs = options.rebootGraceMs ?? REBOOT_GRACE_MS;
    this.#log = options.log;
    this.#omitted =
      options.omittedCapability ?? (options.abilities.accelerator === 'tcg' ? CPU_FEATURE_QUERIES : null);
    this.#connection = new ReconnectingConnection(options.uri, {
      timeoutMs: 20_000,
      // libvirtd takes 5 calls of a client at once; more would wait in its queue.
      workers: 5,
      backOff: { firstMs: 100, maximumMs: 2_000, factor: 2 },
    });
    this.#networks = new LibvirtNetworks(options.fleet);
    const withDomain: WithDomain = (what, name, work) =>
      this.#use(what, async (connection) => {
        const domain = await this.#require(connection, name);
        await this.#ours(domain);
        return work(domain);
      });
    this.backups = new LibvirtBackups(withDomain);
    this.migrations = new LibvirtMigrations(options.uri, withDomain, {
      capabilities: () =>
        this.#use('ask what libvirt can do', (connection) => connection.getCapabilities(WORK)),
      keepKey: (volume) =>
        this.#use(`keep the key to ${volume.pool}`, (connection) => keepKey(connection, volume)),
    });
    this.#connection.on('lifecycle', ({ type, domain }) => {
      if (type === 'defined' || type === 'undefined') this.#read.delete(domain.name);
    });
    this.#connection.on('metadata-change', ({ domain }) => this.#read.delete(domain.name));
    this.#connection.on('disconnected', () => this.#read.clear());
    // libvirt looks at the installed QEMU when first asked, for seconds: now, rather than under the first VM.
    this.#connection.on('connected', (connection) => {
      const type = options.abilities.accelerator === 'kvm' ? 'kvm' : 'qemu';
      void connection.getDomainCapabilities({ type }, WORK).catch(() => undefined);
    });
    forwardEvents(this.#connection, (event) => this.#onEvent(event), options.log);
    this.#connection.start();
  }

  async listDomains(): Promise<readonly DomainView[]> {
    return this.#use('list domains', async (connection) => {
      const domains = await connection.listAllDomains(0, ASK);
      const views = await Promise.all(domains.map((domain) => this.#view(domain)));
      return views.filter((view) => view !== null);
    });
  }

  async startDomain(spec: DomainSpec): Promise<void> {
    requireOurs(`the mark of ${spec.name}`, spec.mark, this.#fleet);
    await this.#use(`start ${spec.name}`, async (connection) => {
      const found = await this.#find(connection, spec.name);
      if (found) {
        requireSameLife(spec.name, await this.#ours(found), spec.mark);
        if (await found.isActive(ASK)) return;
      }
      if (spec.rbd) await keepKey(connection, spec.rbd);
      const omitted = this.#omitted;
      try {
        await startOnce(await this.#define(connection, spec, omitted));
      } catch (error) {
        if (omitted === null || !isUnknownCapability(error)) throw error;
        this.#log.warn(
          { capability: omitted },
          'this libvirt does not know the capability; starting with it',
        );
        this.#omitted = null;
        await startOnce(await this.#define(connection, spec, null));
      }
    });
  }

  async #define(connection: Connection, spec: DomainSpec, omitted: OmittedCapability): Promise<Domain> {
    const xml = composeDomainXml(spec, this.#abilities, omitted);
    const domain = await connection.defineDomain(xml, 0, WORK);
    this.#read.delete(spec.name);
    return domain;
  }

  async resumeDomain(name: string): Promise<void> {
    await this.#use(`start ${name}`, async (connection) => {
      const domain = await this.#require(connection, name);
      await this.#ours(domain);
      await startOnce(domain);
    });
  }

  async unpauseDomain(name: string): Promise<void> {
    await this.#use(`let ${name} run on`, async (connection) => {
      const domain = await this.#require(connection, name);
      await this.#ours(domain);
      if ((await domain.getState(ASK)).state === 'paused') await domain.resume(WORK);
    });
  }

  async markDomain(name: string, mark: DomainMark): Promise<void> {
    await this.#use(`mark ${name}`, async (connection) => {
      const domain = await this.#require(connection, name);
      requireSameLife(name, await this.#ours(domain), mark);
      const active = await domain.isActive(ASK);
      await domain.setMetadata(
        DomainMetadataType.ELEMENT,
        composeMark(mark),
        {
          key: MARK_PREFIX,
          uri: MARK_URI,
          flags: DomainAffect.CONFIG | (active ? DomainAffect.LIVE : 0),
        },
        ASK,
      );
      this.#read.delete(name);
    });
  }

  async rebootDomain(name: string): Promise<void> {
    await this.#use(`reboot ${name}`, async (connection) => {
      const domain = await this.#require(connection, name);
      await this.#ours(domain);
      const rebooted = waitForEvent(
        this,
        (event) => event.type === 'reboot' && event.name === name,
        this.#rebootGraceMs,
      );
      await domain.reboot(0, ASK);
      if (!(await rebooted) && (await domain.isActive(ASK))) await domain.reset(ASK);
    });
  }

  async shutdownDomain(name: string, graceMs: number): Promise<boolean> {
    return this.#use(`shut ${name} down`, async (connection) => {
      const domain = await this.#find(connection, name);
      if (!domain) return true;
      await this.#ours(domain);
      if (!(await domain.isActive(ASK))) return true;
      const off = waitForEvent(
        this,
        (event) => event.type === 'lifecycle' && event.name === name && event.state === 'shut-off',
        graceMs,
      );
      await domain.shutdown(0, ASK);
      return (await off) || !(await domain.isActive(ASK));
    });
  }

  async removeDomain(name: string): Promise<void> {
    await this.#use(`remove ${name}`, async (connection) => {
      const domain = await this.#find(connection, name);
      if (!domain) return;
      await this.#ours(domain);
      if (await domain.isActive(ASK))
        await domain.destroy(0, WORK).catch(ignore(ErrorCode.OPERATION_INVALID, ErrorCode.NO_DOMAIN));
      const everything =
        DomainUndefineFlag.MANAGED_SAVE |
        DomainUndefineFlag.SNAPSHOTS_METADATA |
        DomainUndefineFlag.CHECKPOINTS_METADATA |
        DomainUndefineFlag.NVRAM;
      await domain.undefine(everything, ASK).catch(ignore(ErrorCode.NO_DOMAIN));
      this.#read.delete(name);
    });
  }

  async takeScreenshot(name: string): Promise<Screenshot> {
    return this.#use(`take a screenshot of ${name}`, async (connection) => {
      const domain = await this.#require(connection, name);
      await this.#ours(domain);
      if (!hasScreen(await domain.getXML(0, ASK))) throw noScreen(name);
      return domain.screenshot(0, ASK);
    });
  }

  async openConsole(name: string): Promise<ConsoleStream> {
    return this.#use(`open the console of ${name}`, async (connection) => {
      const domain = await this.#require(connection, name);
      await this.#ours(domain);
      return consoleStream(await domain.openConsole(null, DomainConsoleFlag.FORCE, ASK));
    });
  }

  /** Lets go of the keys of pools that this host does not offer any more. @param names of those that it does. */
  async forgetKeys(prefix: string, names: ReadonlySet<string>): Promise<void> {
    await this.#use('look through the secrets', (connection) => removeKeys(connection, prefix, names));
  }

  listNetworks(): Promise<readonly NetworkView[]> {
    return this.#use('list networks', (connection) => this.#networks.list(connection));
  }

  ensureNetwork(spec: NetworkSpec): Promise<ResolverView> {
    return this.#use(`make network ${spec.name}`, (connection) => this.#networks.ensure(connection, spec));
  }

  remakeNetwork(spec: NetworkSpec): Promise<void> {
    return this.#use(`make network ${spec.name} anew`, (connection) =>
      this.#networks.remake(connection, spec),
    );
  }

  removeNetwork(name: string): Promise<void> {
    return this.#use(`remove network ${name}`, (connection) => this.#networks.remove(connection, name));
  }

  onEvent(listener: (event: DomainEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    await this.#connection.close({ timeoutMs: 2_000 }).catch(() => undefined);
  }

  #onEvent(event: DomainEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  async #view(domain: Domain): Promise<DomainView | null> {
    try {
      const read = await this.#readOf(domain);
      const { state, reason } = await domain.getState(ASK);
      const mark = read.mark?.fleet === this.#fleet ? read.mark : null;
      return { ...read, name: domain.name, mark, state: toDomainState(state), reason };
    } catch (error) {
      if (isLibvirtError(error, ErrorCode.NO_DOMAIN)) return null;
      throw error;
    }
  }

  async #readOf(domain: Domain): Promise<DomainReading> {
    const known = this.#read.get(domain.name);
    if (known) return known;
    const read = readDomainXml(await domain.getXML(0, ASK));
    this.#read.set(domain.name, read);
    return read;
  }

  async #ours(domain: Domain): Promise<DomainMark> {
    return requireOurs(`domain ${domain.name}`, (await this.#readOf(domain)).mark, this.#fleet);
  }

  async #find(connection: Connection, name: string): Promise<Domain | null> {
    return connection.lookupDomainByName(name, ASK).catch((error: unknown) => {
      if (isLibvirtError(error, ErrorCode.NO_DOMAIN)) return null;
      throw error;
    });
  }

  async #require(connection: Connection, name: string): Promise<Domain> {
    const domain = await this.#find(connection, name);
    if (domain) return domain;
    throw new WeftError('not-found', `libvirt has no domain ${name}`);
  }

  async #use<T>(what: string, work: (connection: Connection) => Promise<T>): Promise<T> {
    try {
      return await work(await this.#connection.connection({ timeoutMs: 15_000 }));
    } catch (error) {
      throw toWeftError(what, error);
    }
  }
}

/** Two that start one domain at the same time both succeed. */
async function startOnce(domain: Domain): Promise<void> {
  try {
    await domain.create(0, WORK);
  } catch (error) {
    if (isLibvirtError(error, ErrorCode.OPERATION_INVALID) && (await domain.isActive(ASK))) return;
    throw error;
  }
}

/** Another libvirt may call its capabilities differently; it says so when the domain starts. */
const isUnknownCapability = (error: unknown): boolean =>
  isLibvirtError(error) && error.message.includes('namespace capability');

const ignore =
  (...codes: readonly number[]) =>
  (error: unknown): void => {
    if (!isLibvirtError(error, ...codes)) throw error;
  };
