import type {
  ApplicationRecord,
  ClaimsRecord,
  HostRecord,
  VmRecord,
} from '../../../controller/model/index.ts';

/** What the store holds, kept up to date with every commit. */
export class Records {
  readonly #entries = new Map<string, unknown>();
  readonly #vms = new Map<string, VmRecord>();
  readonly #hosts = new Map<string, HostRecord>();
  readonly #claims = new Map<string, ClaimsRecord>();
  readonly #applications = new Map<string, ApplicationRecord>();
  readonly #kinds: Readonly<Record<string, Map<string, unknown>>> = {
    vms: this.#vms as Map<string, unknown>,
    hosts: this.#hosts as Map<string, unknown>,
    claims: this.#claims as Map<string, unknown>,
    apps: this.#applications as Map<string, unknown>,
  };

  set(key: string, value: unknown | null): void {
    const slash = key.indexOf('/');
    const kind = this.#kinds[key.slice(0, slash)];
    if (value === null) {
      this.#entries.delete(key);
      kind?.delete(key.slice(slash + 1));
      return;
    }
    // Events are many, and nobody asks for them here.
    if (!key.startsWith('events/')) this.#entries.set(key, value);
    kind?.set(key.slice(slash + 1), value);
  }

  vm(id: string): VmRecord | undefined {
    return this.#vms.get(id);
  }

  host(name: string): HostRecord | undefined {
    return this.#hosts.get(name);
  }

  get applications(): readonly ApplicationRecord[] {
    return [...this.#applications.values()];
  }

  get vms(): readonly VmRecord[] {
    return [...this.#vms.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  get hosts(): readonly HostRecord[] {
    return [...this.#hosts.values()];
  }

  get claims(): ReadonlyMap<string, ClaimsRecord> {
    return this.#claims;
  }

  /** All keys but those of events. */
  get keys(): readonly string[] {
    return [...this.#entries.keys()];
  }
}
