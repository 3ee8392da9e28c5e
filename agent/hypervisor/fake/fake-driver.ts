import { WeftError } from '../../kit/errors.ts';
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
import { resolverIn } from '../resolver-view.ts';
import { type FakeDomain, FakeHypervisor } from './fake-hypervisor.ts';

type Call = Exclude<keyof HypervisorDriver, 'onEvent' | 'close'>;

/** A hypervisor in memory, for unit tests and simulation. It fails on command, and tells how often each call was made. */
export class FakeDriver implements HypervisorDriver {
  readonly calls: { readonly call: Call; readonly name: string | null }[] = [];
  readonly #fleet: string;
  readonly #hypervisor: FakeHypervisor;
  readonly #failures = new Map<Call, WeftError[]>();
  readonly #subscriptions = new Set<() => void>();
  /** Whether guests answer to a request to power off or reboot. */
  obedient = true;

  constructor(fleet: string, hypervisor = new FakeHypervisor()) {
    this.#fleet = fleet;
    this.#hypervisor = hypervisor;
  }

  get domains(): FakeHypervisor['domains'] {
    return this.#hypervisor.domains;
  }

  get networks(): FakeHypervisor['networks'] {
    return this.#hypervisor.networks;
  }

  /** The next call of this kind fails with this. */
  failNext(call: Call, error = new WeftError('hypervisor-failed', `${call} fails on command`)): void {
    this.#failures.set(call, [...(this.#failures.get(call) ?? []), error]);
  }

  /** A guest switches itself off. */
  powerOffGuest(name: string): void {
    this.emit({ type: 'power-off', name });
    this.#hypervisor.halt(name, this.#require(name), 'shut-off', 'shutdown');
  }

  /** A guest's kernel panics: the domain is kept as it was. */
  crashGuest(name: string): void {
    this.#hypervisor.freeze(name, this.#require(name), 'crashed', 'panicked');
    this.emit({ type: 'crash', name });
  }

  /** A guest does not feed its watchdog. */
  hangGuest(name: string): void {
    this.#hypervisor.freeze(name, this.#require(name), 'paused', 'watchdog');
    this.emit({ type: 'watchdog', name });
  }

  /** A guest resets itself. */
  resetGuest(name: string): void {
    this.#require(name).boots++;
    this.emit({ type: 'reboot', name });
  }

  /** A guest stops where it is, as one whose disk has no room. */
  pauseGuest(name: string, reason = 'io-error'): void {
    const domain = this.#require(name);
    domain.state = 'paused';
    domain.reason = reason;
    this.emit({ type: 'lifecycle', name, state: 'paused', detail: `suspended ${reason}` });
  }

  /** A domain that is not ours. */
  addForeign(name: string): void {
    this.domains.set(name, {
      ...{ spec: null, mark: null, state: 'running', reason: 'booted', boots: 1 },
      consoles: new Set(),
    });
  }

  emit(event: DomainEvent): void {
    this.#hypervisor.emit(event);
  }

  async listDomains(): Promise<readonly DomainView[]> {
    this.#called('listDomains', null);
    return [...this.domains].map(([name, { mark, state, reason, spec }]) => ({
      name,
      mark: mark?.fleet === this.#fleet ? mark : null,
      state,
      reason,
      overlay: spec?.chain[0]?.path ?? null,
      files: spec === null ? [] : filesOf(spec),
    }));
  }

  async startDomain(spec: DomainSpec): Promise<void> {
    this.#called('startDomain', spec.name);
    requireOurs(`the mark of ${spec.name}`, spec.mark, this.#fleet);
    const found = this.domains.get(spec.name);
    if (found) {
      requireSameLife(spec.name, this.#ours(spec.name, found), spec.mark);
      if (isActive(found)) return;
    }
    const defined: FakeDomain = {
      ...{ spec, mark: spec.mark, state: 'shut-off', reason: 'unknown', boots: found?.boots ?? 0 },
      consoles: new Set(),
    };
    this.domains.set(spec.name, defined);
    this.#boot(spec.name, defined);
  }

  async resumeDomain(name: string): Promise<void> {
    this.#called('resumeDomain', name);
    const domain = this.#require(name);
    this.#ours(name, domain);
    if (!isActive(domain)) this.#boot(name, domain);
  }

  async unpauseDomain(name: string): Promise<void> {
    this.#called('unpauseDomain', name);
    const domain = this.#require(name);
    this.#ours(name, domain);
    if (domain.state !== 'paused') return;
    domain.state = 'running';
    domain.reason = 'unpaused';
    this.emit({ type: 'lifecycle', name, state: 'running', detail: 'resumed unpaused' });
  }

  async markDomain(name: string, mark: DomainMark): Promise<void> {
    this.#called('markDomain', name);
    const domain = this.#require(name);
    requireSameLife(name, this.#ours(name, domain), mark);
    domain.mark = mark;
  }

  async rebootDomain(name: string): Promise<void> {
    this.#called('rebootDomain', name);
    const domain = this.#require(name);
    this.#ours(name, domain);
    this.#requireActive(name, domain);
    domain.boots++;
    this.emit({ type: 'reboot', name });
  }

  async shutdownDomain(name: string): Promise<boolean> {
    this.#called('shutdownDomain', name);
    const domain = this.domains.get(name);
    if (!domain) return true;
    this.#ours(name, domain);
    if (!isActive(domain)) return true;
    if (this.obedient) this.powerOffGuest(name);
    return this.obedient;
  }

  async removeDomain(name: string): Promise<void> {
    this.#called('removeDomain', name);
    const domain = this.domains.get(name);
    if (!domain) return;
    this.#ours(name, domain);
    this.domains.delete(name);
    this.#hypervisor.halt(name, domain, 'shut-off', 'destroyed');
  }

  async takeScreenshot(name: string): Promise<Screenshot> {
    this.#called('takeScreenshot', name);
    const domain = this.#require(name);
    this.#ours(name, domain);
    if (domain.spec?.boot.method === 'kernel') throw noScreen(name);
    this.#requireActive(name, domain);
    return { mimeType: 'image/x-portable-pixmap', data: Buffer.from('P6\n1 1\n255\n\x00\x00\x00') };
  }

  async openConsole(name: string): Promise<ConsoleStream> {
    this.#called('openConsole', name);
    const domain = this.#require(name);
    this.#ours(name, domain);
    this.#requireActive(name, domain);
    const echo = new TransformStream<Uint8Array, Uint8Array>(undefined, undefined, { highWaterMark: 16 });
    const writer = echo.writable.getWriter();
    const close = () => writer.close().catch(() => undefined);
    // The newest has the console: the one before it ends.
    for (const end of domain.consoles) end();
    domain.consoles.clear();
    domain.consoles.add(() => void close());
    return { readable: echo.readable, write: (bytes) => writer.write(bytes), close };
  }

  async listNetworks(): Promise<readonly NetworkView[]> {
    this.#called('listNetworks', null);
    return [...this.networks.values()].map(({ name, mark, leases, active, bridge, ...made }) => ({
      name,
      mark: mark?.fleet === this.#fleet ? mark : null,
      leases,
      active,
      bridge,
      ...resolverIn(made),
    }));
  }

  async ensureNetwork({ resolver, namesOnly, ...spec }: NetworkSpec): Promise<ResolverView> {
    this.#called('ensureNetwork', spec.name);
    const found = this.networks.get(spec.name);
    if (found) requireOurs(`network ${spec.name}`, found.mark, this.#fleet);
    const asked = { ...(resolver && { resolver }), ...(namesOnly && { namesOnly }) };
    const known = resolverIn(found?.active ? found : asked);
    this.networks.set(spec.name, { ...spec, active: true, ...known });
    return known;
  }

  async remakeNetwork(spec: NetworkSpec): Promise<void> {
    this.#called('remakeNetwork', spec.name);
    const found = this.networks.get(spec.name);
    if (found) requireOurs(`network ${spec.name}`, found.mark, this.#fleet);
    this.networks.set(spec.name, { ...spec, active: true });
  }

  async removeNetwork(name: string): Promise<void> {
    this.#called('removeNetwork', name);
    const found = this.networks.get(name);
    if (found) requireOurs(`network ${name}`, found.mark, this.#fleet);
    this.networks.delete(name);
  }

  onEvent(listener: (event: DomainEvent) => void): () => void {
    const stop = this.#hypervisor.listen((event) => {
      if (this.#hypervisor.away === null) listener(event);
    });
    this.#subscriptions.add(stop);
    return stop;
  }

  async close(): Promise<void> {
    for (const stop of this.#subscriptions) stop();
  }

  #called(call: Call, name: string | null): void {
    this.calls.push({ call, name });
    const failure = this.#hypervisor.away ?? this.#failures.get(call)?.shift();
    if (failure) throw failure;
  }

  #boot(name: string, domain: FakeDomain): void {
    const why = this.#hypervisor.boot(name, domain);
    if (why !== null) throw new WeftError('hypervisor-failed', `start ${name}: ${why}`);
  }

  #require(name: string): FakeDomain {
    const domain = this.domains.get(name);
    if (domain) return domain;
    throw new WeftError('not-found', `there is no domain ${name}`);
  }

  #requireActive(name: string, domain: FakeDomain): void {
    if (!isActive(domain)) throw new WeftError('hypervisor-failed', `domain ${name} is not running`);
  }

  #ours(name: string, domain: FakeDomain): DomainMark {
    return requireOurs(`domain ${name}`, domain.mark, this.#fleet);
  }
}

const filesOf = ({ chain, seedIso, boot }: DomainSpec): readonly string[] => [
  ...chain.map(({ path }) => path),
  ...(seedIso === null ? [] : [seedIso]),
  ...(boot.method === 'kernel' ? [boot.kernel, ...(boot.initrd === null ? [] : [boot.initrd])] : []),
];

/** A domain that has crashed is kept, and is there to be looked at. */
const isActive = ({ state }: FakeDomain) => state === 'running' || state === 'paused' || state === 'crashed';
