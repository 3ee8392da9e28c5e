import { randomUUID } from 'node:crypto';
import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { VM_ID_PATTERN } from '../../agent/kit/names.ts';
import type { Catalogue } from '../catalogue/contract.ts';
import { backupIdAt, backupRef } from '../model/backup-ids.ts';
import {
  type ApplicationRecord,
  type BackupRecord,
  type HostRecord,
  isToGo,
  type Service,
  type VmRecord,
} from '../model/index.ts';
import { canRead, readersOf, targetOn } from '../reconciler/backup-tasks.ts';
import { change, read } from '../store/change.ts';
import type { Check, Store } from '../store/contract.ts';
import type { Operations } from './contract.ts';

type BackupOperations = Pick<Operations, 'backup' | 'restore' | 'removeBackup'>;

export class Backups implements BackupOperations {
  readonly #store: Store;
  readonly #catalogue: Pick<Catalogue, 'resolve'>;
  readonly #clock: Clock;

  constructor({
    store,
    catalogue,
    clock,
  }: {
    store: Store;
    catalogue: Pick<Catalogue, 'resolve'>;
    clock: Clock;
  }) {
    this.#store = store;
    this.#catalogue = catalogue;
    this.#clock = clock;
  }

  backup(id: string, to: string | null): Promise<{ readonly backup: string }> {
    return change(this.#store, async () => {
      const { value: vm } = await read<VmRecord>(this.#store, `vms/${id}`);
      if (!vm) throw new WeftError('not-found', `there is no machine ${id}`, { remedy: 'See "weft ps".' });
      if (vm.kind !== 'machine')
        throw new WeftError('not-supported', `${id} is an instance: its disk lives no longer than it does`, {
          remedy: 'Only machines are backed up; an instance is made anew from its image.',
        });
      if (isToGo(vm)) throw new WeftError('conflict', `${id} is being deleted`);
      if (vm.host === null || !vm.image)
        throw new WeftError('conflict', `${id} is on no host: it is ${vm.state}`, {
          remedy: `See "weft why ${id}".`,
        });
      const { value: host } = await read<HostRecord>(this.#store, `hosts/${vm.host}`);
      const { value: application } = await read<ApplicationRecord>(this.#store, `apps/${vm.app}`);
      const name = to ?? defaultTarget(application?.service, vm, host);
      const target = targetOn(host?.offer, name);
      if (!target) throw noTarget(vm.host, host, name);
      const known = new Set((await this.#store.list(`backups/${id}/`)).entries.map(({ key }) => key));
      const nowMs = this.#clock.now();
      const backupId = backupIdAt(nowMs, (each) => known.has(`backups/${id}/${each}`));
      const record: BackupRecord = {
        id: backupId,
        vmId: id,
        app: vm.app,
        state: 'wanted',
        reason: 'asked',
        target: name,
        targetId: target.id,
        host: vm.host,
        createdAtMs: nowMs,
        endedAtMs: null,
        failure: null,
        made: null,
        image: { name: vm.image.name, version: vm.image.version },
        size: vm.size,
        pool: vm.pool,
        restore: null,
      };
      const key = `backups/${backupRef(record)}`;
      return {
        answer: { backup: backupRef(record) },
        transaction: { checks: [{ key, revision: 0 }], puts: [{ key, value: record }] },
      };
    });
  }

  async restore(ref: string, as: string | null): Promise<{ readonly request: string; readonly as: string }> {
    const { value: first } = await read<BackupRecord>(this.#store, `backups/${ref}`);
    if (first && as !== null) await this.#requireImage(first);
    return change(this.#store, async () => {
      const { record, check } = await this.#whole(ref);
      if (record.restore?.state === 'verifying')
        throw new WeftError('conflict', `backup ${ref} is being restored as ${record.restore.as}`, {
          remedy: 'Wait until that is done: weft machine backups.',
        });
      const target = as ?? record.vmId;
      const { host, checks } = as === null ? await this.#inPlace(record) : await this.#asNew(record, as);
      const request = randomUUID();
      const restore: BackupRecord['restore'] = {
        request,
        as: target,
        host,
        state: 'verifying',
        failure: null,
        askedAtMs: this.#clock.now(),
      };
      return {
        answer: { request, as: target },
        transaction: {
          checks: [check, ...checks],
          puts: [{ key: check.key, value: { ...record, restore } }],
        },
      };
    });
  }

  removeBackup(ref: string): Promise<void> {
    return change(this.#store, async () => {
      const { value: record, check } = await read<BackupRecord>(this.#store, `backups/${ref}`);
      if (!record) throw unknownBackup(ref);
      if (record.state === 'removing') return { answer: undefined };
      if (record.restore?.state === 'verifying')
        throw new WeftError('conflict', `backup ${ref} is being restored as ${record.restore.as}`);
      // Its host has cleared away what there was of it.
      if (record.state === 'failed')
        return { answer: undefined, transaction: { checks: [check], deletes: [check.key] } };
      const value: BackupRecord = { ...record, state: 'removing', failure: null };
      return { answer: undefined, transaction: { checks: [check], puts: [{ key: check.key, value }] } };
    });
  }

  async #whole(ref: string): Promise<{ record: BackupRecord; check: Check }> {
    const { value: record, check } = await read<BackupRecord>(this.#store, `backups/${ref}`);
    if (!record) throw unknownBackup(ref);
    if (record.state === 'done') return { record, check };
    throw new WeftError('conflict', `backup ${ref} cannot be restored: it is ${record.state}`, {
      remedy: 'Restore one that is done: weft machine backups lists them.',
    });
  }

  async #requireImage({ image, vmId, id }: BackupRecord): Promise<void> {
    await this.#catalogue.resolve(`${image.name}:${image.version}`).catch((thrown: unknown) => {
      throw new WeftError(
        'not-found',
        `backup ${vmId}/${id} boots with image ${image.name}:${image.version}, which is not there any more`,
        { remedy: 'Import or build that version again.', cause: thrown },
      );
    });
  }

  async #inPlace(record: BackupRecord): Promise<{ host: string; checks: readonly Check[] }> {
    const { value: vm, check } = await read<VmRecord>(this.#store, `vms/${record.vmId}`);
    if (!vm || isToGo(vm))
      throw new WeftError('not-found', `there is no machine ${record.vmId} any more`, {
        remedy: `Restore it as a new one: weft machine restore ${backupRef(record)} --as ${record.vmId}`,
      });
    const { value: host } = await read<HostRecord>(this.#store, `hosts/${vm.host ?? ''}`);
    if (host?.state !== 'up')
      throw new WeftError('host-unreachable', `host ${vm.host ?? '-'} of ${vm.id} is not up`, {
        remedy: 'See "weft host ls".',
      });
    if (!canRead(host, record)) throw elsewhere(record, host.name);
    return { host: host.name, checks: [check] };
  }

  async #asNew(record: BackupRecord, as: string): Promise<{ host: string; checks: readonly Check[] }> {
    const [app = '', name = ''] = as.split('/');
    if (!VM_ID_PATTERN.test(as))
      throw new WeftError('bad-request', `${as} is no name for a machine`, {
        remedy: 'Write application/machine: lower-case letters, digits and dashes.',
      });
    const application = await read<ApplicationRecord>(this.#store, `apps/${app}`);
    if (!application.value || application.value.deleting)
      throw new WeftError('not-found', `there is no application ${app}`, {
        remedy: 'A machine belongs to one: apply its model first, or name another with --as.',
      });
    const vm = await read<VmRecord>(this.#store, `vms/${as}`);
    const { service } = application.value;
    if (vm.value || service.machines[name])
      throw new WeftError('conflict', `there is a machine ${as} already`, {
        remedy: 'Restore under another name, or in place with --in-place.',
      });
    const role = Object.keys(service.roles).find((each) => new RegExp(`^${each}-\\d+$`).test(name));
    if (role !== undefined)
      throw new WeftError('conflict', `${as} is also the name of an instance of role ${role}`, {
        remedy: 'Choose another name.',
      });
    const tombstone = await read(this.#store, `tombstones/${as}`);
    if (tombstone.value)
      throw new WeftError('conflict', `the disk of an earlier ${as} is still on its way out`, {
        remedy: 'Wait until it is gone, or restore under another name.',
      });
    const { entries } = await this.#store.list('hosts/');
    const [host] = readersOf(
      entries.map(({ value }) => value as HostRecord),
      record,
    );
    if (host === undefined)
      throw new WeftError(
        'host-unreachable',
        `no host that is up has backup target ${record.target}, where ${backupRef(record)} lies (made by ${record.host})`,
        { remedy: 'See "weft host ls"; wait for that host, or mount the target on another one.' },
      );
    return { host, checks: [application.check, vm.check] };
  }
}

/** Every backup that a machine of this service is still to be made from is there. @throws WeftError `not-found`, `conflict`. */
export async function requireBackups(store: Store, service: Service): Promise<void> {
  for (const [name, { from }] of Object.entries(service.machines)) {
    if (from === undefined || (await store.get(`vms/${service.name}/${name}`))) continue;
    const { value: record } = await read<BackupRecord>(store, `backups/${from}`);
    if (record?.state === 'done') continue;
    throw new WeftError(
      record ? 'conflict' : 'not-found',
      `machine ${name} begins as backup ${from}, which is ${record ? record.state : 'not there'}`,
      { remedy: 'Name one that is done: weft machine backups lists them.' },
    );
  }
}

function defaultTarget(service: Service | undefined, vm: VmRecord, host: HostRecord | null): string {
  const scheduled = service?.machines[vm.id.slice(vm.app.length + 1)]?.backup?.to;
  const first = scheduled ?? host?.offer?.backups?.[0]?.name;
  if (first !== undefined) return first;
  throw new WeftError('bad-request', `host ${vm.host} has no folder for backups`, {
    remedy: `Add one to backups in its agent.yaml, or name a pool: --to ${vm.pool}`,
  });
}

function noTarget(name: string, host: HostRecord | null, target: string): WeftError {
  const pools = host?.offer?.pools.filter(({ kind }) => kind !== 'rbd') ?? [];
  const known = [...(host?.offer?.backups ?? []), ...pools].map((each) => each.name);
  return new WeftError('not-found', `host ${name} has no backup target ${target}`, {
    remedy: `It has ${known.join(', ') || 'none'}; see backups in its agent.yaml.`,
  });
}

const elsewhere = (record: BackupRecord, host: string) =>
  new WeftError(
    'conflict',
    `backup ${backupRef(record)} lies in ${record.target} of ${record.host}, and ${host} does not have that`,
    { remedy: 'Restore it as a new machine with --as: that one is made where the backup is.' },
  );

const unknownBackup = (ref: string) =>
  new WeftError('not-found', `there is no backup ${ref}`, { remedy: 'See "weft machine backups".' });
