import { WeftError } from '../kit/errors.ts';
import type { Place } from '../kit/exclusive-runner.ts';
import type { VmGoal } from '../protocol/index.ts';
import { type HostLease, withoutLease } from './options.ts';
import { provision } from './provision.ts';
import type { StepContext } from './steps.ts';
import { watchGuest } from './watch-guest.ts';

/** Provisions a VM that is still wanted, and begins to watch its guest. */
export async function startVm(context: StepContext, vm: VmGoal, place: Place): Promise<void> {
  const { options, vms, networks, slots } = context;
  if (!vms.isNewest(vm) || vms.find(vm.id)?.power === 'stopped') return;
  const { link, paths, folders, disks, cache, driver, seed, fleet, readBackup } = options;
  const state = vms.stateOf(vm);
  try {
    await provision(
      {
        driver,
        disks,
        cache,
        paths,
        folders,
        ...(readBackup ? { readBackup } : {}),
        // Not in a place of the runner's: those are for who has something to do.
        takeSlot: (signal, onWait) => place.aside(() => slots.take(signal, onWait)),
        ...seed,
        beforeStart: (each) => requireLease(options.lease, each),
        fetchSecrets: (wanted, signal) =>
          state.secrets(() => link.fetchSecrets(wanted.id, wanted.incarnation, signal)),
        networkReady: (network) => networks.ready(network),
        mtu: () => vms.goal?.backbone?.mtu,
      },
      fleet,
      vm,
      vms.networkOf(vm),
      state,
      state.life,
      options.onChange,
    );
  } catch (error) {
    state.giveSlotBack();
    throw error;
  }
  state.rebootGeneration = vm.rebootGeneration;
  watchGuest(context, vm);
  if (!state.supervision) state.giveSlotBack();
}

/** The lease may have run out while the machine was made ready. */
function requireLease(lease: HostLease | undefined, { id, kind, pool }: VmGoal): void {
  if (kind !== 'machine' || !withoutLease(lease).has(pool)) return;
  throw new WeftError('host-unreachable', `${id} is not started: this host holds no lease for pool ${pool}`);
}
