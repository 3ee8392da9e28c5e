import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import type { Fleet } from '../fleet/contract.ts';
import type {
  BackupRecord,
  ClaimsRecord,
  HostRecord,
  RemovedRecord,
  Roll,
  TombstoneRecord,
  VmRecord,
} from '../model/index.ts';
import { sharedPoolOf } from '../reconciler/shared-pools.ts';
import { change, read } from '../store/change.ts';
import type { Store } from '../store/contract.ts';
import type { DrainRequest, Operations } from './contract.ts';
import { type DrainProgress, drainProgress } from './drain-progress.ts';

type HostOperations = Pick<Operations, 'setDraining' | 'drainProgress' | 'rebootHost' | 'removeHost'>;

interface HostsOptions {
  readonly store: Store;
  readonly fleet: Pick<Fleet, 'forget'>;
  readonly clock: Clock;
}

export class Hosts implements HostOperations {
  readonly #store: Store;
  readonly #fleet: Pick<Fleet, 'forget'>;
  readonly #clock: Clock;

  constructor({ store, fleet, clock }: HostsOptions) {
    this.#store = store;
    this.#fleet = fleet;
    this.#clock = clock;
  }

  setDraining(
    host: string,
    draining: boolean,
    { mode = 'auto', copies = false, by = '', roll }: DrainRequest = {},
  ): Promise<void> {
    return change(this.#store, async () => {
      const { value: record, check } = await read<HostRecord>(this.#store, `hosts/${host}`);
      if (!record) throw unknownHost(host);
      if (!draining && !record.draining) return { answer: undefined };
      const drain = {
        atMs: this.#clock.now(),
        by: by || 'an operator',
        cold: mode === 'cold',
        live: mode === 'live',
        ...(copies ? { copies } : {}),
        vms: (await this.#vmsOn(host)).length,
      };
      const marked = rollMark(record, roll);
      const next: HostRecord = {
        ...record,
        draining,
        drain: draining ? { ...drain, ...(marked ? { roll: marked } : {}) } : null,
        rebootOf: null,
        ...(draining ? {} : rolledBy(record)),
      };
      return {
        answer: undefined,
        transaction: { checks: [check], puts: [{ key: check.key, value: next }] },
      };
    });
  }

  async drainProgress(host: string): Promise<DrainProgress> {
    const { value: record } = await read<HostRecord>(this.#store, `hosts/${host}`);
    if (!record) throw unknownHost(host);
    const { entries } = await this.#store.list('backups/');
    const backups = entries.map(({ value }) => value as BackupRecord);
    return drainProgress(record, await this.#vms(), backups, this.#clock.now());
  }

  rebootHost(host: string): Promise<void> {
    return change(this.#store, async () => {
      const { value: record, check } = await read<HostRecord>(this.#store, `hosts/${host}`);
      if (!record) throw unknownHost(host);
      if (record.state !== 'up' || record.mode !== 'maintenance')
        throw new WeftError('conflict', `host ${host} is ${record.state}, ${record.mode ?? 'in-service'}`, {
          remedy: `Only a host that is up and in maintenance is booted anew: weft host drain ${host} --wait.`,
        });
      const next: HostRecord = { ...record, rebootOf: record.bootId };
      return {
        answer: undefined,
        transaction: { checks: [check], puts: [{ key: check.key, value: next }] },
      };
    });
  }

  /** The record goes first: from then on its certificate is worth nothing, even if the rest never happens. */
  async removeHost(host: string, { force = false }: { readonly force?: boolean } = {}): Promise<void> {
    await change(this.#store, async () => {
      const { value: record, check } = await read<HostRecord>(this.#store, `hosts/${host}`);
      if (!record) throw unknownHost(host);
      refuseInService(record);
      const claims = await read<ClaimsRecord>(this.#store, `claims/${host}`);
      const there = await this.#vmsOn(host);
      if (there.length > 0) refuseOccupied(record, there, force);
      const lost = await Promise.all(there.map(({ id }) => read<VmRecord>(this.#store, `vms/${id}`)));
      const removed: RemovedRecord = { host, atMs: this.#clock.now() };
      return {
        answer: undefined,
        transaction: {
          checks: [check, claims.check, ...lost.map((vm) => vm.check)],
          puts: [
            { key: `removed/${host}`, value: removed },
            ...lost.flatMap(({ value, check: { key } }) =>
              // One that was only on its way there has its disk where it was.
              value?.host === host ? [{ key, value: lostWith(record, value) }] : [],
            ),
          ],
          // Its tombstones have nobody left to obey them.
          deletes: [check.key, claims.check.key, ...(await this.#tombstonesOf(host))],
        },
      };
    });
    await this.#fleet.forget(host);
  }

  async #vms(): Promise<readonly VmRecord[]> {
    const { entries } = await this.#store.list('vms/');
    return entries.map(({ value }) => value as VmRecord);
  }

  async #vmsOn(host: string): Promise<readonly VmRecord[]> {
    return (await this.#vms()).filter((vm) => vm.host === host || vm.successor?.host === host);
  }

  async #tombstonesOf(host: string): Promise<readonly string[]> {
    const { entries } = await this.#store.list('tombstones/');
    return entries.filter(({ value }) => (value as TombstoneRecord).host === host).map(({ key }) => key);
  }
}

/** Asked again, by the same roll or by a person, it is still the same boot that is to end. */
function rollMark({ drain, bootId }: HostRecord, roll: Roll | undefined) {
  if (roll === undefined || drain?.roll?.id === roll.id) return drain?.roll;
  return { ...roll, bootId };
}

/** A host that runs another boot than the one that its roll was to end is done. */
function rolledBy({ drain, bootId }: HostRecord): Pick<HostRecord, 'rolled'> {
  if (!drain?.roll || drain.roll.bootId === bootId) return {};
  const { id, hosts } = drain.roll;
  return { rolled: { id, hosts } };
}

function refuseInService({ name, state, mode }: HostRecord): void {
  if (state === 'up' && mode !== 'maintenance')
    throw new WeftError('conflict', `host ${name} is up${mode === 'draining' ? ' and still draining' : ''}`, {
      remedy: `Empty it first: weft host drain ${name} --wait.`,
    });
  if (state === 'suspect')
    throw new WeftError('conflict', `host ${name} is suspect: it has been silent for a moment only`, {
      remedy: 'Try again in a few seconds.',
    });
}

/** With force, machines whose disks are on a dead host alone are given up with it; whatever can still go on elsewhere never is. */
function refuseOccupied(record: HostRecord, there: readonly VmRecord[], force: boolean): void {
  const { name, proof } = record;
  const ids = there.map(({ id }) => id);
  const details = { vms: ids };
  if (!force)
    throw new WeftError('conflict', `host ${name} still has ${ids.join(', ')}`, {
      remedy: `Instances leave a host that is down by themselves; a machine leaves it when it is deleted. If the host is dead for good, and its machines with it: weft host rm ${name} --force.`,
      details,
    });
  if (!proof)
    throw new WeftError('conflict', `nothing proves that host ${name} is dead; on it: ${ids.join(', ')}`, {
      remedy: `Wait for its fence device, or make sure that it is off and sign for it: weft host confirm-dead ${name}.`,
      details,
    });
  const alive = there.filter((vm) => vm.role !== null || sharedPoolOf(record, vm.pool));
  if (alive.length === 0) return;
  throw new WeftError(
    'conflict',
    `${alive.map(({ id }) => id).join(', ')} of host ${name} can go on elsewhere, and no host has taken them yet`,
    { remedy: 'Make room for them: see weft why. Then remove the host.', details },
  );
}

/** Why its disk is gone for good stays on its record, with the proof. */
const lostWith = ({ name, proof }: HostRecord, vm: VmRecord): VmRecord => ({
  ...vm,
  proof,
  failure: {
    code: 'host-unreachable',
    message: `host ${name}, which alone had its disk, was removed as dead: ${proof?.detail ?? ''}`,
    remedy: `Nothing brings this disk back. Delete the machine, then apply its model again: weft delete ${vm.id}`,
  },
});

export const unknownHost = (host: string) =>
  new WeftError('not-found', `there is no host ${host}`, { remedy: 'See "weft host ls".' });
