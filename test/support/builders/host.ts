import {
  type Hello,
  type HostOffer,
  PROVES_STOPS,
  type UnderlayOffer,
} from '../../../agent/protocol/index.ts';
import type { HostRecord } from '../../../controller/model/index.ts';

export interface HostShape {
  readonly cpus?: number;
  readonly cpuRatio?: number;
  readonly memoryMiB?: number;
  readonly diskMiB?: number;
  readonly faultDomain?: string;
  readonly architecture?: 'x86_64' | 'aarch64';
  /** Beside the local one. */
  readonly pools?: HostOffer['pools'];
  readonly fence?: HostOffer['fence'];
  /** Where others reach it, which makes it an edge host. */
  readonly edgeAt?: string;
  /** Where others reach it, in all that its agent offers of that. */
  readonly underlay?: UnderlayOffer;
  /** It can be an edge host. */
  readonly edge?: boolean;
}

/** What an agent says of its host: 4 CPUs at ratio 4, 4 GiB, one local pool of 100 GiB, unless told otherwise. */
export function aHello(name: string, shape: HostShape = {}, bootId = 'boot-1'): Hello {
  const { cpus = 4, cpuRatio = 4, memoryMiB = 4096, diskMiB = 102_400 } = shape;
  return {
    type: 'hello',
    protocol: 1,
    hostName: name,
    bootId,
    agentVersion: '0.1.0',
    capabilities: [PROVES_STOPS],
    facts: {
      hostname: name,
      architecture: shape.architecture ?? 'x86_64',
      cpus,
      memoryMiB,
      kernel: '6.1',
      os: 'Debian 12',
      libvirtVersion: '9.0.0',
      qemuVersion: '7.2.0',
      accelerator: { kind: 'tcg', reason: 'no /dev/kvm' },
      notes: [],
    },
    offer: {
      faultDomain: shape.faultDomain ?? '',
      labels: {},
      cpus,
      cpuRatio,
      memoryMiB,
      pools: [{ name: 'local', kind: 'local', sizeMiB: diskMiB }, ...(shape.pools ?? [])],
      fence: shape.fence ?? [],
      ...(shape.edgeAt === undefined
        ? {}
        : { edge: true, underlay: { address: shape.edgeAt, mtu: 1_500, networks: [] } }),
      ...(shape.underlay === undefined ? {} : { underlay: shape.underlay }),
      ...(shape.edge ? { edge: true } : {}),
    },
  };
}

/** A host that is up and offers what `aHello` says. */
export function aHost(name = 'h1', shape: HostShape = {}, overrides: Partial<HostRecord> = {}): HostRecord {
  const { facts, offer, bootId } = aHello(name, shape);
  return {
    name,
    state: 'up',
    evidence: 'it is in session',
    proof: null,
    fencing: null,
    downsAtMs: [],
    heldOffUntilMs: null,
    superseded: {},
    draining: false,
    facts,
    offer,
    bootId,
    joinedAtMs: 0,
    stateSinceMs: 0,
    certificateFingerprint: 'f'.repeat(64),
    ...overrides,
  };
}
