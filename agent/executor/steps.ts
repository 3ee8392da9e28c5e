import type { DiskView } from '../disks/contract.ts';
import type { DiskCopies } from '../disks/disk-copies.ts';
import { WeftError } from '../kit/errors.ts';
import type { Place } from '../kit/exclusive-runner.ts';
import type { VmGoal } from '../protocol/index.ts';
import type { BootSlots } from './boot-slots.ts';
import { expected, isLeftHalf } from './copied.ts';
import { diskKeyOf } from './disk-key.ts';
import type { Failures } from './failures.ts';
import { domainName } from './names.ts';
import type { GoalNetworks } from './networks.ts';
import type { ExecutorOptions } from './options.ts';
import type { Step, StepArguments, StepKind } from './plan.ts';
import { examine } from './post-mortem.ts';
import { startVm } from './start-vm.ts';
import type { GoalVms } from './vms.ts';
import { watchGuest } from './watch-guest.ts';

/** What steps work with. */
export interface StepContext {
  readonly options: ExecutorOptions;
  readonly vms: GoalVms;
  readonly networks: GoalNetworks;
  readonly slots: BootSlots;
  readonly failures: Failures;
  /** Something may have to be done. */
  readonly wake: () => void;
  readonly isClosed: () => boolean;
}

type Executors = {
  readonly [Kind in StepKind]: (
    context: StepContext,
    step: StepArguments[Kind],
    place: Place,
  ) => Promise<void>;
};

const STOP_GRACE_MS = 60_000;

/** The table derives from the union: a step that nobody executes does not compile. */
const EXECUTORS: Executors = {
  provision: (context, { vm }, place) => startVm(context, vm, place),
  supervise: async (context, { vm }) => watchGuest(context, vm),
  examine: lookInto,
  reboot: (context, { vm }) => reboot(context, vm),
  stop: (context, { vm }) => stop(context, vm),
  retire: ({ options }, { domain }) => options.driver.removeDomain(domain),
  discard: (context, { vmId, disk }) => discard(context, vmId, disk),
  bury,
  settle: (context, { vm }) => settle(context, vm),
  'drop-copied': dropCopied,
  sweep: ({ options }, { vmId }) => options.folders.remove(vmId),
  'remove-network': async ({ options, networks }, { network }) => {
    await options.driver.removeNetwork(network);
    networks.forget();
  },
};

/** Does a step in its place of the runner's. */
export function execute(context: StepContext, step: Step, place: Place): Promise<void> {
  // The kind picks the executor of its own arguments; the compiler cannot follow a union through the table.
  const executor = EXECUTORS[step.kind] as (context: StepContext, step: Step, place: Place) => Promise<void>;
  return executor(context, step, place);
}

async function lookInto(
  { options, vms, failures }: StepContext,
  { vm, domain, cause }: StepArguments['examine'],
): Promise<void> {
  if (!vms.isNewest(vm)) return;
  const state = vms.stateOf(vm);
  const wasStopped =
    cause === 'killed' && options.lease?.takeStopped(domainName(options.fleet, vm.id)) === true;
  const end = await examine(options, vm, domain, wasStopped ? 'lease' : cause, state);
  if (end) failures.giveUp(vm, end.error, end.consoleTail);
}

async function reboot({ options, vms }: StepContext, vm: VmGoal): Promise<void> {
  const { driver, fleet } = options;
  const name = domainName(fleet, vm.id);
  const mark = (await driver.listDomains()).find((domain) => domain.name === name)?.mark;
  if (!mark || mark.incarnation !== vm.incarnation) return;
  // Marked first: a crash in between costs a reboot, never makes an endless row of them.
  await driver.markDomain(name, { ...mark, rebootGeneration: vm.rebootGeneration });
  const state = vms.stateOf(vm);
  state.rebootGeneration = vm.rebootGeneration;
  state.willReset();
  state.phase = 'booting';
  options.onChange();
  // Not waited for: a guest that takes its time must not hold up what else is asked of this VM.
  void driver
    .rebootDomain(name)
    .catch((error: unknown) => options.log.warn({ err: error, vm: vm.id }, 'a reboot failed'))
    .finally(() => options.guest.hint(vm.id));
}

async function stop({ options, vms }: StepContext, vm: VmGoal): Promise<void> {
  const { driver, fleet } = options;
  const state = vms.stateOf(vm);
  state.stopped();
  state.phase = 'stopping';
  options.onChange();
  const name = domainName(fleet, vm.id);
  // That it is off is for the next look to see.
  if (!(await driver.shutdownDomain(name, STOP_GRACE_MS))) await driver.removeDomain(name);
}

function discard({ options }: StepContext, vmId: string, disk: DiskView): Promise<void> {
  const { pool, incarnation } = disk;
  return options.disks.discard({ pool, vmId, kind: 'instance', incarnation: incarnation ?? 0 });
}

/** What comes after a crash does it again, from where it was. */
async function settle(context: StepContext, vm: VmGoal): Promise<void> {
  const { options, vms } = context;
  const { driver, fleet } = options;
  if (!vms.isNewest(vm)) return;
  if (options.disks.kindOf(vm.pool) !== 'local') {
    await settleShared(context, vm);
    return;
  }
  const copies = copiesOf(options);
  const key = diskKeyOf(vm);
  await copies.keep(key);
  await driver.unpauseDomain(domainName(fleet, vm.id));
  const state = vms.stateOf(vm);
  state.arrival = options.landings?.take(vm, options.clock.now()) ?? state.arrival;
  await copies.settle(key);
}

/** Its disk is the one that it had before, and whose that is by now is written beside it first. */
async function settleShared({ options, vms }: StepContext, vm: VmGoal): Promise<void> {
  const { driver, disks, fleet, clock, landings } = options;
  const name = domainName(fleet, vm.id);
  const mark = (await driver.listDomains()).find((domain) => domain.name === name)?.mark;
  if (mark?.incarnation !== vm.incarnation) return;
  const overlay = await disks.takeOver(diskKeyOf(vm));
  // It may have been given up while that was written.
  if (!vms.isNewest(vm)) return;
  await driver.unpauseDomain(name);
  const state = vms.stateOf(vm);
  state.overlay = overlay;
  state.arrival = landings?.take(vm, clock.now()) ?? state.arrival;
  const { standsStill: _, ...own } = mark;
  await driver.markDomain(name, own);
}

function dropCopied(
  { options, vms }: StepContext,
  { vmId, disk, what, upToIncarnation }: StepArguments['drop-copied'],
): Promise<void> {
  // Asked for again since: what comes here makes its own place.
  const { goal } = vms;
  if (goal !== null && expected(goal).has(vmId) && !(what === 'half' && isLeftHalf(goal, disk)))
    return Promise.resolve();
  const copies = copiesOf(options);
  return what === 'half'
    ? copies.dropHalf(disk.pool, vmId, upToIncarnation)
    : copies.dropOld(disk.pool, vmId, upToIncarnation);
}

function copiesOf({ copies }: ExecutorOptions): DiskCopies {
  if (copies) return copies;
  throw new WeftError('not-supported', 'this host copies no disks');
}

async function bury(
  { options }: StepContext,
  { vmId, disk, upToIncarnation }: StepArguments['bury'],
): Promise<void> {
  const { disks, driver, fleet } = options;
  // The domain first: no disk goes from under a running guest.
  await driver.removeDomain(domainName(fleet, vmId));
  await disks.destroyMachineDisk(disk.pool, vmId, upToIncarnation);
}
