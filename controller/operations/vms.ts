import { WeftError } from '../../agent/kit/errors.ts';
import { type ApplicationRecord, type HostRecord, isToGo, type VmRecord } from '../model/index.ts';
import { isHandedOver, type MoveMode } from '../model/live-move.ts';
import { withoutMachine } from '../reconciler/retired.ts';
import { sharedPoolOf } from '../reconciler/shared-pools.ts';
import { change, read } from '../store/change.ts';
import type { Check, Store } from '../store/contract.ts';
import type { Operations } from './contract.ts';

type VmOperations = Pick<Operations, 'reboot' | 'reimage' | 'move' | 'abortMove' | 'deleteMachine'>;

/** What is asked of one VM is written on its record; the next plan acts on it. */
export class Vms implements VmOperations {
  readonly #store: Store;

  constructor({ store }: { store: Store }) {
    this.#store = store;
  }

  reboot(id: string): Promise<void> {
    return this.#patch(id, async (vm) => {
      refuseUnplaced(vm);
      const rebootGeneration = vm.rebootGeneration + 1;
      // What was given up has nothing left that could boot again.
      const anew = vm.state === 'failed' && vm.role !== null;
      // Its host hears of it when the world's connections to it have ended.
      const rebootFrom = vm.rebootFrom ?? vm.rebootGeneration;
      return {
        patch: anew ? { rebootGeneration, reimageRequested: true } : { rebootGeneration, rebootFrom },
      };
    });
  }

  reimage(id: string): Promise<void> {
    return this.#patch(id, async (vm) => {
      if (vm.role === null)
        throw new WeftError('not-supported', `${id} is a machine: its disk is kept, never made anew`, {
          remedy: 'Delete the machine and apply its model again to begin with a fresh disk.',
        });
      refuseUnplaced(vm);
      return { patch: { reimageRequested: true } };
    });
  }

  move(
    id: string,
    to: string | null,
    { mode = 'auto', copies = false }: { readonly mode?: MoveMode; readonly copies?: boolean } = {},
  ): Promise<void> {
    return this.#patch(id, async (vm) => {
      refuseUnplaced(vm);
      refuseBeginning(vm);
      const own = vm.role === null ? await this.#refuseMachine(vm, copies) : [];
      // Asked anew: what failed before is tried again.
      const patch = {
        moveMode: mode,
        moveWait: null,
        ...(copies || vm.moveCopies ? { moveCopies: copies } : {}),
        ...(vm.role === null ? { stay: null } : {}),
      };
      return to === null
        ? { patch: { ...patch, moveTo: '*' }, checks: own }
        : { patch: { ...patch, moveTo: to }, checks: [...own, ...(await this.#target(vm, to))] };
    });
  }

  abortMove(id: string): Promise<void> {
    return this.#patch(id, async (vm) => {
      if (vm.moveTo === null)
        throw new WeftError('conflict', `${id} is not being moved`, {
          remedy: 'What leaves because its host drains stays when that is ended: weft host undrain HOST.',
        });
      return { patch: { moveTo: null } };
    });
  }

  /** A machine leaves its host only with its disk. */
  async #refuseMachine(vm: VmRecord, copies: boolean): Promise<readonly Check[]> {
    const { value: host, check } = await read<HostRecord>(this.#store, `hosts/${vm.host}`);
    if (!copies && !sharedPoolOf(host ?? undefined, vm.pool))
      throw new WeftError(
        'not-supported',
        `${vm.id} is a machine with its disk in pool ${vm.pool} of host ${vm.host ?? '-'} alone`,
        { remedy: `To copy its disk along, while it runs: weft move ${vm.id} --copy-storage.` },
      );
    return [check];
  }

  /**
   * The wish and the end of the declaration are one transaction: no plan sees the one without the other. The plan writes the tombstone, when
   * the world's connections to the machine have ended.
   */
  deleteMachine(id: string): Promise<void> {
    return change(this.#store, async () => {
      const { value: vm, check } = await read<VmRecord>(this.#store, `vms/${id}`);
      if (!vm) throw unknownVm(id);
      if (vm.role !== null)
        throw new WeftError('not-supported', `${id} is an instance of role ${vm.role}`, {
          remedy: `Scale its role instead: weft scale ${vm.app}/${vm.role}=N.`,
        });
      const application = await read<ApplicationRecord>(this.#store, `apps/${vm.app}`);
      if (isToGo(vm)) return { answer: undefined };
      if (isHandedOver(vm))
        throw new WeftError('conflict', `${id} is on its way from ${vm.host} to ${vm.successor?.host}`, {
          remedy: `Wait until it is there, or end that: weft move ${id} --abort. Then delete it.`,
        });
      const name = id.slice(vm.app.length + 1);
      const puts: { key: string; value: unknown }[] = [
        { key: check.key, value: { ...vm, deleteRequested: true } satisfies VmRecord },
      ];
      if (application.value)
        puts.push({ key: application.check.key, value: withoutMachine(application.value, name) });
      return { answer: undefined, transaction: { checks: [check, application.check], puts } };
    });
  }

  #patch(
    id: string,
    decide: (vm: VmRecord) => Promise<{ patch: Partial<VmRecord>; checks?: readonly Check[] }>,
  ): Promise<void> {
    return change(this.#store, async () => {
      const { value: vm, check } = await read<VmRecord>(this.#store, `vms/${id}`);
      if (!vm) throw unknownVm(id);
      if (isToGo(vm)) throw new WeftError('conflict', `${id} is being deleted`);
      const { patch, checks = [] } = await decide(vm);
      return {
        answer: undefined,
        transaction: { checks: [check, ...checks], puts: [{ key: check.key, value: { ...vm, ...patch } }] },
      };
    });
  }

  async #target(vm: VmRecord, to: string): Promise<readonly Check[]> {
    const { value: host, check } = await read<HostRecord>(this.#store, `hosts/${to}`);
    if (!host) throw new WeftError('not-found', `there is no host ${to}`, { remedy: 'See "weft host ls".' });
    const reason =
      vm.host === to
        ? `${vm.id} is on ${to} already`
        : host.state !== 'up'
          ? `host ${to} is ${host.state}`
          : host.draining
            ? `host ${to} is draining`
            : null;
    if (reason !== null) throw new WeftError('conflict', reason, { remedy: 'Name another host, or none.' });
    return [check];
  }
}

function refuseUnplaced(vm: VmRecord): void {
  if (vm.host === null)
    throw new WeftError('conflict', `${vm.id} is on no host yet: it is ${vm.state}`, {
      remedy: `See "weft why ${vm.id}".`,
    });
}

/** What is asked of it is done where its disk is, and would be the end of a move that had begun. */
function refuseBeginning({ id, role, drain, restoreRequested }: VmRecord): void {
  const why = restoreRequested
    ? `its disk becomes backup ${restoreRequested.id} again`
    : role === null && drain?.inPlace
      ? 'its definition has changed'
      : null;
  if (why !== null)
    throw new WeftError('conflict', `${id} is about to begin anew: ${why}`, {
      remedy: `Move it when it is ready again: weft ps.`,
    });
}

const unknownVm = (id: string) =>
  new WeftError('not-found', `there is no VM ${id}`, { remedy: 'See "weft ps".' });
