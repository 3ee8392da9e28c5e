/** The id of the one pool that all simulated hosts can mount. */
export const SHARED_POOL = {
  name: 'san',
  kind: 'shared',
  id: 'b00c0000-0000-4000-8000-00000000005a',
} as const;

/** A pool in the one Ceph cluster there is. */
export const RBD_POOL = {
  name: 'ceph',
  kind: 'rbd',
  id: 'b00c0000-0000-4000-8000-0000000000ce',
  cluster: 'ce9b0000-0000-4000-8000-000000000001',
} as const;

/** Storage that all hosts mount: disks of machines, each with who had it last. It outlives every host. */
export class SharedPool {
  /** VM id → who opened the disk last. */
  readonly owners = new Map<
    string,
    { readonly host: string; readonly incarnation: number; readonly pool: string }
  >();
  /** Hosts of which the Ceph cluster takes nothing. */
  readonly blocked: Set<string>;
  /** Host → the word that it has left there last. */
  readonly beats = new Map<string, string>();

  constructor(blocked = new Set<string>()) {
    this.blocked = blocked;
  }

  /** Another storage with the same mark, made from this one so long ago that no host’s word is in it any more. */
  copy(): SharedPool {
    const copy = new SharedPool(this.blocked);
    for (const [vmId, owner] of this.owners) copy.owners.set(vmId, owner);
    return copy;
  }
}

/** What a host has mounted as the pool that hosts share. */
export interface Mount {
  storage: SharedPool;
}
