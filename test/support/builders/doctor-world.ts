import type { DoctorLimits, DoctorWorld } from '../../../agent/doctor/world.ts';
import { aGoal, aVmGoal, FLEET } from './goal.ts';

export const BLOBS = '/state/blobs/sha256';
export const RUN = '/state/run';
export const POOL = '/pool';

export const LIMITS: DoctorLimits = { lowSpaceMiB: 2_048, fullSpaceMiB: 512 };

/** `sha256:` and 64 times this digit. */
export const digestOf = (digit: string) => `sha256:${digit.repeat(64)}`;
export const layerFile = (digit: string) => `${BLOBS}/${digit.repeat(64)}.qcow2`;

export const anImage = (backing: string | null, sizeBytes = 1_024) => ({ isQcow2: true, backing, sizeBytes });

/** A host in order: one instance, `crm/web-0` at incarnation 1, on its layer. */
export function aDoctorWorld(overrides: Partial<DoctorWorld> = {}): DoctorWorld {
  const disk = `${POOL}/roles/crm/web-0/1.qcow2`;
  const layer = layerFile('a');
  return {
    fleet: FLEET,
    host: 'h1',
    goal: aGoal([aVmGoal()]),
    busy: new Set(),
    domains: [
      {
        name: 'weft-5eed-crm-web-0-abcdef',
        mark: { fleet: FLEET, id: 'crm/web-0', incarnation: 1, kind: 'instance', rebootGeneration: 0 },
        state: 'running',
        reason: 'booted',
        overlay: disk,
        files: [disk, layer, `${RUN}/crm/web-0/seed-1.iso`],
      },
    ],
    networks: [
      {
        name: 'weft-5eed-1',
        mark: { fleet: FLEET, id: 'crm/web' },
        active: true,
        bridge: 'wb5eed-1',
        leases: [],
      },
    ],
    disks: [{ pool: 'local', path: disk, vmId: 'crm/web-0', kind: 'instance', incarnation: 1 }],
    poolKinds: { local: 'local' },
    headers: new Map([
      [disk, anImage(layer)],
      [layer, anImage(null)],
    ]),
    restored: new Set(),
    halfMade: [],
    loneOwners: [],
    emptyFolders: [],
    seeds: [{ path: `${RUN}/crm/web-0/seed-1.iso`, vmId: 'crm/web-0', incarnation: 1 }],
    blobFolder: BLOBS,
    blobs: [{ path: layer, digest: digestOf('a'), sizeBytes: 1_024, isWhole: true }],
    damaged: new Set(),
    bridges: [{ name: 'wb5eed-1', ports: ['vnet0'] }],
    tables: ['weft_5eed'],
    hasGuests: false,
    leftovers: [],
    spaces: [{ name: 'local', path: POOL, freeMiB: 50_000, totalMiB: 100_000, hasCache: true }],
    ...overrides,
  };
}
