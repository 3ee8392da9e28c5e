import type { VmSecrets } from '../../agent/protocol/index.ts';

/** Keys of VMs, in files of mode 0600 under the state folder. An instance has new ones each incarnation, a machine keeps its own. */
export interface SecretsStore {
  /** Makes them on first use; concurrent calls get the same keys. Images with `seed: none` bring their own user key (`imageKeySecret`). */
  ensure(
    vmId: string,
    incarnation: number,
    kind: 'instance' | 'machine',
    imageKeySecret: string | null,
  ): Promise<VmSecrets>;
  remove(vmId: string, upToIncarnation: number): Promise<void>;
  /** Stores an image publisher's private key; returns the name to record. */
  putImageKey(privateKey: string): Promise<string>;
}
