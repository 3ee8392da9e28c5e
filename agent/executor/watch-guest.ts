import type { GuestProgress } from '../guest/contract.ts';
import { WeftError } from '../kit/errors.ts';
import type { VmGoal } from '../protocol/index.ts';
import { diskKeyOf } from './disk-key.ts';
import type { StepContext } from './steps.ts';
import type { VmState } from './vm-state.ts';

/** Begins to watch the guest; goes on beside the queue until the VM is superseded, stopped or down. */
export function watchGuest(context: StepContext, vm: VmGoal): void {
  const { options, vms, failures, wake } = context;
  const { guest, link, fleet, onChange } = options;
  const state = vms.stateOf(vm);
  if (!vms.isNewest(vm) || state.supervision || state.phase === 'failed') return;
  const supervision = state.beginSupervision();
  const { signal } = supervision;
  // Watching that begins anew is no boot; a boot that an agent before this one began is timed from here.
  if (!state.timer.has('boot')) state.timer.begin('boot');
  if (state.phase !== 'ready') state.phase = 'booting';
  void takeOver(context, vm, state)
    .then(() => state.secrets(() => link.fetchSecrets(vm.id, vm.incarnation, signal)))
    .then((secrets) => {
      state.watched(onChange);
      return guest.supervise({
        vm,
        network: vms.networkOf(vm),
        secrets,
        fleet,
        signal,
        packageFile: () => packageFile(context, vm, signal),
        onProgress: (progress) => {
          if (signal.aborted) return;
          const before = state.phase;
          take(progress, state);
          onChange();
          // A probe that begins to fail has a limit, which the next pass looks for.
          if (before !== progress.phase) wake();
        },
      });
    })
    .catch((error: unknown) =>
      signal.aborted || context.isClosed()
        ? undefined
        : failures.onStep({ kind: 'supervise', vm }, WeftError.from(error)),
    )
    .finally(() => {
      if (state.supervision === supervision) state.supervision = null;
      onChange();
      wake();
    });
}

function take(progress: GuestProgress, state: VmState): void {
  if (progress.phase !== 'booting') state.giveSlotBack();
  if (progress.sshMs !== null && state.timer.isRunning('boot')) {
    state.timer.addPart('boot', 'ssh', progress.sshMs);
    state.timer.end('boot');
  }
  state.progress = progress;
  state.phase = progress.phase;
}

/** A machine that runs here has its disk here, however it came: its next host goes by what is written beside it. */
async function takeOver({ options }: StepContext, vm: VmGoal, state: VmState): Promise<void> {
  if (vm.kind !== 'machine' || state.overlay !== null) return;
  state.overlay = await options.disks.takeOver(diskKeyOf(vm)).catch((error: unknown) => {
    // No failing of the guest's, which runs on meanwhile.
    throw new WeftError('host-unreachable', `it cannot be written down who has the disk of ${vm.id}`, {
      cause: error,
    });
  });
}

function packageFile({ options }: StepContext, vm: VmGoal, signal: AbortSignal): Promise<string> {
  const blob = vm.workload.package;
  if (!blob) throw new WeftError('invalid-package', `${vm.id} has no package`);
  return options.cache.ensure(blob, 'file', { signal });
}
