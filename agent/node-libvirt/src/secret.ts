/** `virSecretUsageType`, by its figures. */
export const SECRET_USAGES = ['none', 'volume', 'ceph', 'iscsi', 'tls', 'vtpm'] as const;

/** A secret that libvirt keeps. What it is worth is never read. */
export interface Secret {
  readonly uuid: string;
  readonly usage: (typeof SECRET_USAGES)[number] | 'other';
  /** Of a ceph secret: its name. */
  readonly usageId: string;
}
