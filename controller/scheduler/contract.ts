import type { HostState } from '../model/records.ts';
import type { Size } from '../model/service.ts';

/** One host as placement sees it. Figures are already with the host's ratios. */
export interface Candidate {
  readonly name: string;
  readonly state: HostState;
  /** It went down again and again, and has yet to stay. */
  readonly heldOff: boolean;
  readonly draining: boolean;
  /** Which of its networks overlaps which of the fleet's ranges; absent or null: none does. */
  readonly collision?: string | null;
  /** Why it cannot encrypt what has to be, and so reaches no other host; absent: it can, or need not. */
  readonly alone?: string;
  readonly architecture: string;
  /** From site to power, then the host itself. */
  readonly faultDomain: readonly string[];
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly pools: Readonly<
    Record<
      string,
      {
        readonly sizeMiB: number;
        readonly id: string | null;
        readonly isFull: boolean;
        /** Others that offer it under this name and id have another storage, and theirs is used by more. */
        readonly isOdd: boolean;
        /** Instances have no overlays there. */
        readonly isForMachines?: boolean;
      }
    >
  >;
}

export interface Claim {
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  readonly pool: string;
}

/** A candidate with what is claimed on it, as placements go on. */
export interface Load {
  readonly host: Candidate;
  /** Numbers of the host's fault-domain prefixes, for counting without text. */
  readonly domains: readonly number[];
  usedCpus: number;
  usedMemoryMiB: number;
  readonly usedDiskMiB: Map<string, number>;
}

export interface PlacementRequest {
  readonly id: string;
  /** What is spread: the instances of one role. */
  readonly group: string;
  readonly size: Pick<Size, 'cpus' | 'memoryMiB' | 'diskMiB'>;
  readonly pool: string;
  /** The pool that has its disk already, among those of that name; null: any. */
  readonly poolId: string | null;
  /** Hosts whose pool of this name and id is in fact another one than that which has its disk, or not known to be that one yet. Absent: none. */
  readonly apart?: Readonly<Record<string, 'apart' | 'unknown'>>;
  /** A machine that has no disk yet: it is made where others can take it over. */
  readonly isNewMachine?: boolean;
  /** Absent: it may be one. */
  readonly isMachine?: boolean;
  /** Null: not known yet, any. */
  readonly architecture: string | null;
  /** Host → how often it failed there of late; absent: nowhere. */
  readonly failedOn?: Readonly<Record<string, number>>;
  /** Only this host; null: any. */
  readonly only: string | null;
  /** Not this host; null: any. */
  readonly avoid: string | null;
}

/** Keeps hosts out. Both functions are pure; the reason is only asked for where somebody will read it. */
export interface Filter {
  readonly name: string;
  accepts(request: PlacementRequest, load: Load): boolean;
  /** One sentence: why this host was refused, with figures. */
  reason(request: PlacementRequest, load: Load): string;
}

/** How many of a group are under each fault-domain prefix; index: the prefix's number. */
export type GroupCounts = readonly number[];

/** Orders the hosts that are left: the lowest score wins; a later scorer only decides between equals. */
export interface Scorer {
  readonly name: string;
  score(request: PlacementRequest, load: Load, group: GroupCounts): number;
  /** Empty: nothing to say. */
  reason(request: PlacementRequest, load: Load, group: GroupCounts): string;
}
