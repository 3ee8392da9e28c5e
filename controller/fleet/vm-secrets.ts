import { WeftError } from '../../agent/kit/errors.ts';
import type { VmSecrets } from '../../agent/protocol/index.ts';
import type { ImageRecord, VmRecord } from '../model/records.ts';
import { arrivingView, successorView } from '../model/successor.ts';
import type { Store } from '../store/contract.ts';
import type { SecretsStore } from './secrets-contract.ts';

/** Keys of a VM at its current incarnation; the image's own user key where it brings one. */
export async function secretsOfVm(store: Store, secrets: SecretsStore, vm: VmRecord): Promise<VmSecrets> {
  const { image } = vm;
  const key = image ? `images/${image.name}/versions/${image.version}` : null;
  const record = key === null ? null : ((await store.get(key))?.value as ImageRecord | undefined);
  const kind = vm.kind === 'machine' ? 'machine' : 'instance';
  return secrets.ensure(vm.id, vm.incarnation, kind, record?.sshKeySecret ?? null);
}

/** The same, for a host that asks: only one that the VM, or its successor, is placed on, at that incarnation. */
export async function secretsForHost(
  store: Store,
  secrets: SecretsStore,
  request: { host: string; vmId: string; incarnation: number },
): Promise<VmSecrets> {
  const record = (await store.get(`vms/${request.vmId}`))?.value as VmRecord | undefined;
  const vm = [record, record && successorView(record), record && arrivingView(record)].find(
    (each) => each?.host === request.host && each.incarnation === request.incarnation,
  );
  if (!vm)
    throw new WeftError(
      'forbidden',
      `${request.vmId} at incarnation ${request.incarnation} is not placed on host ${request.host}`,
    );
  return secretsOfVm(store, secrets, vm);
}
