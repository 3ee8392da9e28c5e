import type { CephLeftover } from '../disks/rbd/leftovers.ts';

/** Arguments of every repair; the union and the table of those who do them derive from it. */
export interface RepairArguments {
  /** A disk that was never finished. */
  readonly 'remove-half-made': { readonly pool: string; readonly path: string };
  /** Who had a disk that is not there. */
  readonly 'remove-lone-owner': { readonly pool: string; readonly path: string };
  readonly 'remove-seed': { readonly vmId: string; readonly incarnation: number; readonly path: string };
  /** @property pool null: below the folder of the VMs' seeds and logs. */
  readonly 'remove-empty-folder': { readonly pool: string | null; readonly path: string };
  readonly 'remove-blob': { readonly digest: string };
  readonly 'remove-image': Omit<CephLeftover, 'kind'> & { readonly of: CephLeftover['kind'] };
  readonly 'remove-bridge': { readonly bridge: string };
  readonly 'remove-table': { readonly table: string };
}
export type RepairKind = keyof RepairArguments;
export type Repair = { [Kind in RepairKind]: { readonly kind: Kind } & RepairArguments[Kind] }[RepairKind];

export type FindingKind =
  | 'half-made-disk'
  | 'lone-owner'
  | 'stale-seed'
  | 'empty-folder'
  | 'unneeded-blob'
  | 'unneeded-image'
  | 'broken-chain'
  | 'wrong-blob'
  | 'lone-bridge'
  | 'lone-table'
  | 'guard'
  | 'low-space'
  | 'unnamed'
  | 'stranger';

export const SEVERITIES = ['error', 'warning', 'note'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** One thing that is not as it should be. Kind and subject together name it. */
export interface Finding {
  readonly kind: FindingKind;
  /** A path, or a name that libvirt or the kernel knows. */
  readonly subject: string;
  readonly severity: Severity;
  readonly message: string;
  /** What a person can do about it. */
  readonly remedy?: string;
  /** What the doctor does about it, in time or when asked; null: nothing, ever. */
  readonly repair: Repair | null;
}

export const keyOf = ({ kind, subject }: Pick<Finding, 'kind' | 'subject'>) => `${kind} ${subject}`;
