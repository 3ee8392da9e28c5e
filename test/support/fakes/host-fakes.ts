import type { BlobCache, DiskKey, Disks, DiskView, PoolView } from '../../../agent/disks/contract.ts';
import type { VmFolders } from '../../../agent/executor/vm-folders.ts';
import type { GuestProgress, GuestSupervisor, SuperviseOptions } from '../../../agent/guest/contract.ts';
import type { Bridge, HostLinks, HostNetwork } from '../../../agent/network/contract.ts';
import type { BlobRef, VmSecrets } from '../../../agent/protocol/index.ts';
import type { ControllerLink } from '../../../agent/session/contract.ts';

const FAKE_POOL = 'b00c0000-0000-4000-8000-000000000001';

/** Disks in memory. */
export class FakeDisks implements Disks {
  readonly disks = new Map<string, DiskView>();

  async preparePools(): Promise<void> {}

  path(key: DiskKey): string {
    return key.kind === 'machine'
      ? `/pool/machines/${key.vmId}/disk.qcow2`
      : `/pool/roles/${key.vmId}/${key.incarnation}.qcow2`;
  }

  async ensureOverlay(key: DiskKey): Promise<{ path: string; created: boolean }> {
    const path = this.path(key);
    const created = !this.disks.has(path);
    const incarnation = key.kind === 'machine' ? null : key.incarnation;
    this.disks.set(path, { pool: key.pool, path, vmId: key.vmId, kind: key.kind, incarnation });
    return { path, created };
  }

  async requireMachineDisk(): Promise<void> {}

  rbdOf(): null {
    return null;
  }

  async takeOver(key: DiskKey): Promise<string> {
    const path = this.path(key);
    this.disks.set(path, { pool: key.pool, path, vmId: key.vmId, kind: key.kind, incarnation: null });
    return path;
  }

  async discard(key: DiskKey): Promise<void> {
    if (key.kind === 'machine') throw new Error('a machine’s disk is never discarded');
    this.disks.delete(this.path(key));
  }

  async destroyMachineDisk(pool: string, vmId: string): Promise<void> {
    this.disks.delete(this.path({ pool, vmId, kind: 'machine', incarnation: 1 }));
  }

  async list(): Promise<readonly DiskView[]> {
    return [...this.disks.values()];
  }

  kindOf(): PoolView['kind'] {
    return 'local';
  }

  async pools(): Promise<readonly PoolView[]> {
    const size = { freeMiB: 100_000, totalMiB: 100_000 };
    return [{ name: 'local', kind: 'local', id: FAKE_POOL, ...size, problem: null }];
  }
}

/** Folders in memory. */
export class FakeFolders implements VmFolders {
  readonly ids = new Set<string>();

  async list(): Promise<readonly string[]> {
    return [...this.ids];
  }

  async prepare(vmId: string): Promise<void> {
    this.ids.add(vmId);
  }

  async remove(vmId: string): Promise<void> {
    this.ids.delete(vmId);
  }
}

/** Every blob is there at once, unless told to wait. */
export class FakeCache implements BlobCache {
  readonly asked: string[] = [];
  gate: Promise<void> = Promise.resolve();

  async ensure(blob: BlobRef, kind: 'layer' | 'file', options: { signal: AbortSignal }): Promise<string> {
    this.asked.push(blob.digest);
    await Promise.race([
      this.gate,
      new Promise((_, reject) =>
        options.signal.addEventListener('abort', () => reject(options.signal.reason)),
      ),
    ]);
    return `/blobs/${blob.digest.slice(7)}${kind === 'layer' ? '.qcow2' : ''}`;
  }

  async list(): Promise<readonly string[]> {
    return [...new Set(this.asked)];
  }

  async prune(): Promise<readonly string[]> {
    return [];
  }
}

/** Guests that are ready at once, or fail on command. */
export class FakeGuest implements GuestSupervisor {
  readonly supervised: string[] = [];
  readonly hints: string[] = [];
  readonly failures = new Map<string, Error>();
  /** Guests boot until their promise is fulfilled; at once without one. */
  readonly boots = new Map<string, Promise<void>>();

  readonly #tellers = new Map<string, (phase: GuestProgress['phase']) => void>();

  /** A guest that is watched changes its phase. */
  tell(vmId: string, phase: GuestProgress['phase']): void {
    this.#tellers.get(vmId)?.(phase);
  }

  async supervise(options: SuperviseOptions): Promise<void> {
    this.supervised.push(`${options.vm.id}@${options.vm.incarnation}`);
    const failure = this.failures.get(options.vm.id);
    if (failure) throw failure;
    await this.boots.get(options.vm.id);
    if (options.signal.aborted) return;
    const tell = (phase: GuestProgress['phase']) =>
      options.onProgress({ phase, steps: [], tasks: [], sshMs: 5, boots: 1 });
    this.#tellers.set(options.vm.id, tell);
    tell('ready');
    await new Promise<void>((resolve) => options.signal.addEventListener('abort', () => resolve()));
  }

  hint(vmId: string): void {
    this.hints.push(vmId);
  }
}

export const fakeSecrets: VmSecrets = {
  userPrivateKey: 'user-private',
  userPublicKey: 'user-public',
  hostPrivateKey: 'host-private',
  hostPublicKey: 'host-public',
};

export const fakeLink: ControllerLink = {
  openBlob: () => Promise.reject(new Error('no blob is fetched here')),
  fetchSecrets: async () => fakeSecrets,
};

/** Bridges and tables in memory, and no guest unless one is put there. */
export class FakeLinks implements HostLinks {
  readonly all = new Map<string, Bridge>();
  readonly tableNames = new Set<string>();
  readonly fleetsWithGuests = new Set<string>();

  async bridges(): Promise<readonly Bridge[]> {
    return [...this.all.values()];
  }

  async tables(): Promise<readonly string[]> {
    return [...this.tableNames];
  }

  async hasGuests(fleet: string): Promise<boolean> {
    return this.fleetsWithGuests.has(fleet);
  }

  async removeBridge(name: string): Promise<void> {
    this.all.delete(name);
  }
}

export const fakeNetwork: HostNetwork = {
  apply: async () => undefined,
  refresh: async () => undefined,
  hastenResolution: async () => undefined,
  hasBridge: async () => true,
  mayRemake: async () => true,
  remove: async () => undefined,
};
