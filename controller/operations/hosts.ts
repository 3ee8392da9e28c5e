import { WeftError } from '../../agent/kit/errors.ts';
import type { Fleet } from '../fleet/contract.ts';
import type { ClaimsRecord, HostRecord, TombstoneRecord, VmRecord } from '../model/index.ts';
import { change, read } from '../store/change.ts';
import type { Store } from '../store/contract.ts';
import type { Operations } from './contract.ts';

type HostOperations = Pick<Operations, 'setDraining' | 'removeHost'>;

export class Hosts implements HostOperations {
  readonly #store: Store;
  readonly #fleet: Pick<Fleet, 'forget'>;

  constructor({ store, fleet }: { store: Store; fleet: Pick<Fleet, 'forget'> }) {
    this.#store = store;
    this.#fleet = fleet;
  }

  setDraining(host: string, draining: boolean): Promise<void> {
    return change(this.#store, async () => {
      const { value: record, check } = await read<HostRecord>(this.#store, `hosts/${host}`);
      if (!record) throw unknownHost(host);
      if (record.draining === draining) return { answer: undefined };
      return {
        answer: undefined,
        transaction: { checks: [check], puts: [{ key: check.key, value: { ...record, draining } }] },
      };
    });
  }

  /** The record goes first: from then on its certificate is worth nothing, even if the rest never happens. */
  async removeHost(host: string): Promise<void> {
    await change(this.#store, async () => {
      const { value: record, check } = await read<HostRecord>(this.#store, `hosts/${host}`);
      if (!record) throw unknownHost(host);
      if (record.state === 'up')
        throw new WeftError('conflict', `host ${host} is up`, {
          remedy: `Drain it with "weft host drain ${host}" and stop its agent first.`,
        });
      const claims = await read<ClaimsRecord>(this.#store, `claims/${host}`);
      await this.#refuseOccupied(host);
      return {
        answer: undefined,
        transaction: {
          checks: [check, claims.check],
          // Its tombstones have nobody left to obey them.
          deletes: [check.key, claims.check.key, ...(await this.#tombstonesOf(host))],
        },
      };
    });
    await this.#fleet.forget(host);
  }

  async #refuseOccupied(host: string): Promise<void> {
    const { entries } = await this.#store.list('vms/');
    const there = entries.map(({ value }) => value as VmRecord).filter((vm) => vm.host === host);
    if (there.length === 0) return;
    throw new WeftError('conflict', `host ${host} still has ${there.map((vm) => vm.id).join(', ')}`, {
      remedy: 'Instances leave a host that is down by themselves; a machine leaves it when it is deleted.',
      details: { vms: there.map((vm) => vm.id) },
    });
  }

  async #tombstonesOf(host: string): Promise<readonly string[]> {
    const { entries } = await this.#store.list('tombstones/');
    return entries.filter(({ value }) => (value as TombstoneRecord).host === host).map(({ key }) => key);
  }
}

export const unknownHost = (host: string) =>
  new WeftError('not-found', `there is no host ${host}`, { remedy: 'See "weft host ls".' });
