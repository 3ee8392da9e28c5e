import type { DiskView } from '../disks/contract.ts';
import type { DomainView, NetworkView } from '../hypervisor/driver.ts';
import type { Goal, RestartCause, VmGoal } from '../protocol/index.ts';
import { copyOf, expected, isLeftHalf, isLeftStill, movedAway } from './copied.ts';

/** Arguments of every step; the union and the table of executors derive from it. */
export interface StepArguments {
  /** Image, overlay, seed, network, domain: everything up to a started domain. What is there already is kept. */
  readonly provision: { readonly vm: VmGoal };
  /** From a started domain to a ready guest. */
  readonly supervise: { readonly vm: VmGoal };
  /** The guest went down, crashed or hangs, or is taken for dead: what it died of is kept, and what is left of it goes. Never a disk. */
  readonly examine: { readonly vm: VmGoal; readonly domain: string | null; readonly cause: RestartCause };
  readonly reboot: { readonly vm: VmGoal };
  /** Asked to power off by the goal. */
  readonly stop: { readonly vm: VmGoal };
  /** The plug is pulled and the definition goes: superseded, or wanted by nobody. Disks are other steps. */
  readonly retire: { readonly vmId: string; readonly domain: string };
  readonly discard: { readonly vmId: string; readonly disk: DiskView };
  /** A tombstone: the one thing that removes a machine's disk. */
  readonly bury: { readonly vmId: string; readonly disk: DiskView; readonly upToIncarnation: number };
  /** A machine that came here and stands still, and is this host's by now: its guest is let run on. */
  readonly settle: { readonly vm: VmGoal };
  /** Half a copy of a machine's disk that came to nothing, or the disk of one that works elsewhere with a copy of it. */
  readonly 'drop-copied': {
    readonly vmId: string;
    readonly disk: DiskView;
    readonly what: 'half' | 'old';
    readonly upToIncarnation: number;
  };
  /** Seeds and console log of a VM of which nothing else is here. */
  readonly sweep: { readonly vmId: string };
  readonly 'remove-network': { readonly network: string };
}
export type StepKind = keyof StepArguments;
export type Step = { [Kind in StepKind]: { readonly kind: Kind } & StepArguments[Kind] }[StepKind];

/** What the agent remembers of a VM between passes. Lost with the agent, and then found out again. */
export interface VmMemory {
  readonly incarnation: number;
  /** The failure was reported; nothing more is tried at this incarnation. */
  readonly failed: boolean;
  readonly supervised: boolean;
  /** It was seen running, and its end was not looked into yet. */
  readonly alive: boolean;
  /** Since when its probe fails, Unix ms; null: it does not, or never passed. */
  readonly unreadySinceMs: number | null;
  /** It runs and is to be taken down for this; null: it is not. */
  readonly condemned: RestartCause | null;
  /** Not before this time: the guest went down again soon after its start. */
  readonly notBeforeMs: number;
}

export interface Observed {
  readonly domains: readonly DomainView[];
  readonly networks: readonly NetworkView[];
  readonly disks: readonly DiskView[];
  /** Ids of the VMs that have a folder here. */
  readonly folders: readonly string[];
  readonly memory: ReadonlyMap<string, VmMemory>;
  /** When something of ours that the goal does not name was first seen so: domain name or disk path → Unix ms. */
  readonly unnamedSinceMs: ReadonlyMap<string, number>;
}

export interface PlanOptions {
  /** A guest whose probe fails for so long is started again. */
  readonly unreadyLimitMs: number;
  readonly reapAfterMs: number;
  /** Shared pools whose machines are not started now: this host holds no lease. Absent: none. */
  readonly withoutLease?: ReadonlySet<string>;
  /** libvirt's names of the goal's networks. */
  readonly networkNames: ReadonlySet<string>;
}

/**
 * What to do now so that the host becomes what the goal says. Never touches what is not ours (no mark), never a machine's
 * disk without a tombstone, and never runs an incarnation that the goal has left behind.
 */
export function plan(goal: Goal, observed: Observed, nowMs: number, options: PlanOptions): readonly Step[] {
  const wanted = new Map(goal.vms.map((vm) => [vm.id, vm]));
  const outgoing = new Set((goal.outgoing ?? []).map(({ id }) => id));
  return [
    ...retirements(goal, wanted, observed, nowMs, options),
    ...burials(goal, wanted, observed),
    ...copiedDrops(goal, observed, nowMs, options),
    ...discards(goal, wanted, observed, nowMs, options),
    ...goal.vms.flatMap((vm) => stepsOf(vm, observed, nowMs, options).filter(maySo(vm, outgoing))),
    ...bare(expected(goal), observed).map((vmId): Step => ({ kind: 'sweep', vmId })),
    ...networkRemovals(wanted, observed, options),
  ];
}

/** Whom it belongs to is open while it is handed over: it is watched here, and neither started, stopped nor taken down. */
const maySo =
  ({ id }: VmGoal, outgoing: ReadonlySet<string>) =>
  ({ kind }: Step) =>
    kind === 'supervise' || !outgoing.has(id);

function retirements(
  goal: Goal,
  wanted: ReadonlyMap<string, VmGoal>,
  observed: Observed,
  nowMs: number,
  options: PlanOptions,
): Step[] {
  return observed.domains.flatMap((domain): Step[] => {
    const { mark } = domain;
    if (mark === null) return [];
    const step: Step = { kind: 'retire', vmId: mark.id, domain: domain.name };
    const vm = wanted.get(mark.id);
    if (vm) return mark.incarnation < vm.incarnation ? [step] : [];
    if (isOver(goal, mark.id, mark.incarnation)) return [step];
    // A machine that the goal does not name is a stranger: reported, left running, never removed. One that never ran here is none.
    if (mark.kind === 'machine') {
      const waitsInVain = isLeftStill(goal, domain) && isRipe(domain.name, observed, nowMs, options);
      return waitsInVain || neverRanHere(goal, mark, observed, nowMs, options) ? [step] : [];
    }
    return isRipe(domain.name, observed, nowMs, options) ? [step] : [];
  });
}

function burials(goal: Goal, wanted: ReadonlyMap<string, VmGoal>, observed: Observed): Step[] {
  return observed.disks.flatMap((disk): Step[] => {
    if (disk.kind !== 'machine' || wanted.has(disk.vmId)) return [];
    const domain = observed.domains.find((each) => each.mark?.id === disk.vmId);
    const incarnation = domain?.mark?.incarnation ?? 0;
    const tombstone = tombstoneOf(goal, disk.vmId, incarnation);
    return tombstone
      ? [{ kind: 'bury', vmId: disk.vmId, disk, upToIncarnation: tombstone.upToIncarnation }]
      : [];
  });
}

/** An overlay of an instance goes with its incarnation: superseded at once, unnamed after the quarantine. Never under a domain that is still defined. */
function discards(
  goal: Goal,
  wanted: ReadonlyMap<string, VmGoal>,
  observed: Observed,
  nowMs: number,
  options: PlanOptions,
): Step[] {
  const inUse = new Set(observed.domains.map((domain) => domain.overlay));
  return observed.disks.flatMap((disk): Step[] => {
    if (disk.kind !== 'instance' || disk.incarnation === null || inUse.has(disk.path)) return [];
    const vm = wanted.get(disk.vmId);
    const over = vm
      ? disk.incarnation < vm.incarnation
      : isOver(goal, disk.vmId, disk.incarnation) || isRipe(disk.path, observed, nowMs, options);
    return over ? [{ kind: 'discard', vmId: disk.vmId, disk }] : [];
  });
}

function stepsOf(vm: VmGoal, observed: Observed, nowMs: number, options: PlanOptions): Step[] {
  const remembered = observed.memory.get(vm.id);
  const memory = remembered?.incarnation === vm.incarnation ? remembered : undefined;
  const domain = observed.domains.find((each) => each.mark?.id === vm.id);
  const seen = domain?.mark?.incarnation ?? 0;
  // An older one is retired first; a newer one means that this goal is not the newest.
  if (domain && seen !== vm.incarnation) return [];
  const present = domain !== undefined && (isRunning(domain) || isFrozen(domain));
  const copy = present ? copyOf(vm.id, observed.disks) : undefined;
  if (copy?.incarnation === vm.incarnation) return [{ kind: 'settle', vm }];
  const mayRun = vm.kind !== 'machine' || options.withoutLease?.has(vm.pool) !== true;
  if (present && domain.mark?.standsStill) return mayRun ? [{ kind: 'settle', vm }] : [];
  if (vm.power === 'stopped') return present ? [{ kind: 'stop', vm }] : [];
  if (memory?.failed) return [];
  const examine = (cause: RestartCause): Step[] => [
    { kind: 'examine', vm, domain: domain?.name ?? null, cause },
  ];
  if (domain === undefined || !isRunning(domain)) {
    if (memory?.alive || (domain && isFrozen(domain))) return examine(causeOfEnd(domain));
    return !mayRun || (memory && nowMs < memory.notBeforeMs) ? [] : [{ kind: 'provision', vm }];
  }
  if (memory && memory.condemned !== null) return examine(memory.condemned);
  if (memory && memory.unreadySinceMs !== null && nowMs >= memory.unreadySinceMs + options.unreadyLimitMs)
    return examine('unready');
  const steps: Step[] = [];
  if (domain.mark && domain.mark.rebootGeneration < vm.rebootGeneration) steps.push({ kind: 'reboot', vm });
  if (!memory?.supervised) steps.push({ kind: 'supervise', vm });
  return steps;
}

/** Kept by the hypervisor as it was when it crashed, or when its watchdog was not fed. */
const isFrozen = ({ state, reason }: DomainView) =>
  state === 'crashed' || (state === 'paused' && reason === 'watchdog');

const isRunning = (domain: DomainView) =>
  !isFrozen(domain) && (domain.state === 'running' || domain.state === 'paused');

function causeOfEnd(domain: DomainView | undefined): RestartCause {
  if (domain?.state === 'crashed') return 'panic';
  if (domain?.state === 'paused') return 'hang';
  return domain?.state === 'shut-off' && domain.reason === 'shutdown' ? 'power-off' : 'killed';
}

/** Networks go when the goal has left them and nothing runs here that the goal does not name: a stranger may be on one. */
function networkRemovals(
  wanted: ReadonlyMap<string, VmGoal>,
  observed: Observed,
  options: PlanOptions,
): Step[] {
  if (observed.domains.some(({ mark }) => mark !== null && !wanted.has(mark.id))) return [];
  return observed.networks
    .filter((network) => network.mark !== null && !options.networkNames.has(network.name))
    .map((network) => ({ kind: 'remove-network', network: network.name }));
}

const tombstoneOf = (goal: Goal, vmId: string, incarnation: number) =>
  goal.tombstones.find((each) => each.id === vmId && incarnation <= each.upToIncarnation);

const isBuried = (goal: Goal, vmId: string, incarnation: number) =>
  tombstoneOf(goal, vmId, incarnation) !== undefined;

/** Deleted, or living elsewhere by now: what runs of it goes. Disks of machines are another matter. */
const isOver = (goal: Goal, vmId: string, incarnation: number) =>
  isBuried(goal, vmId, incarnation) ||
  goal.superseded.some((each) => each.id === vmId && incarnation <= each.upToIncarnation) ||
  incarnation <= (movedAway(goal, vmId)?.upToIncarnation ?? 0);

function isRipe(key: string, observed: Observed, nowMs: number, options: PlanOptions): boolean {
  const since = observed.unnamedSinceMs.get(key);
  return since !== undefined && nowMs - since >= options.reapAfterMs;
}

/** It waits here for a word that does not come any more. */
const neverRanHere = (
  goal: Goal,
  { id, incarnation }: { readonly id: string; readonly incarnation: number },
  observed: Observed,
  nowMs: number,
  options: PlanOptions,
): boolean =>
  observed.disks.some(
    (disk) =>
      disk.vmId === id &&
      disk.copy?.incarnation === incarnation &&
      isLeftHalf(goal, disk) &&
      isRipe(disk.path, observed, nowMs, options),
  );

/** Disks of machines that go without a user's delete: another host has them, as the controller or what is written beside them says. */
function copiedDrops(goal: Goal, observed: Observed, nowMs: number, options: PlanOptions): Step[] {
  const named = expected(goal);
  const inUse = new Set(observed.domains.map(({ mark }) => mark?.id));
  return observed.disks.flatMap((disk): Step[] => {
    const { vmId, copy } = disk;
    // The domain first: no disk goes from under a guest.
    if (disk.kind !== 'machine' || inUse.has(vmId)) return [];
    if (copy && isLeftHalf(goal, disk)) {
      const upToIncarnation = copy.incarnation;
      const goes = isOver(goal, vmId, upToIncarnation) || isRipe(disk.path, observed, nowMs, options);
      return goes ? [{ kind: 'drop-copied', vmId, disk, what: 'half', upToIncarnation }] : [];
    }
    const upToIncarnation = movedAway(goal, vmId)?.upToIncarnation;
    return upToIncarnation === undefined || named.has(vmId)
      ? []
      : [{ kind: 'drop-copied', vmId, disk, what: 'old', upToIncarnation }];
  });
}

/** What is ours, of an instance or half a copy, or stands still, and not named by the goal: the keys of the quarantine. */
export function unnamed(goal: Goal, observed: Pick<Observed, 'domains' | 'disks'>): readonly string[] {
  const wanted = new Set(goal.vms.map((vm) => vm.id));
  return [
    ...observed.domains
      .filter(
        (domain) =>
          (domain.mark?.kind === 'instance' && !wanted.has(domain.mark.id)) || isLeftStill(goal, domain),
      )
      .map((domain) => domain.name),
    ...observed.disks
      .filter((disk) => (disk.kind === 'instance' && !wanted.has(disk.vmId)) || isLeftHalf(goal, disk))
      .map((disk) => disk.path),
  ];
}

/** Folders behind which there is no domain and no disk, of VMs that the goal does not name. */
function bare(
  wanted: ReadonlySet<string>,
  observed: Pick<Observed, 'domains' | 'disks' | 'folders'>,
): readonly string[] {
  const held = new Set([
    ...observed.domains.map(({ mark }) => mark?.id),
    ...observed.disks.map((disk) => disk.vmId),
  ]);
  return observed.folders.filter((id) => !wanted.has(id) && !held.has(id));
}

/**
 * VMs that the goal does not name and of which something of ours is still here, or may still come to be; machines only under a tombstone.
 * @param busy ids of the VMs that are worked on right now: what is not there yet may be made in a moment.
 */
export function leaving(
  goal: Goal,
  observed: Pick<Observed, 'domains' | 'disks' | 'folders'>,
  busy: Iterable<string>,
): readonly string[] {
  const wanted = expected(goal);
  const buried = new Set(goal.tombstones.map((each) => each.id));
  const ids = [
    ...observed.domains.flatMap(({ mark }) =>
      mark === null
        ? []
        : [{ id: mark.id, goes: mark.kind === 'instance' || isOver(goal, mark.id, mark.incarnation) }],
    ),
    ...observed.disks.map((disk) => ({
      id: disk.vmId,
      goes:
        disk.kind === 'instance' ||
        buried.has(disk.vmId) ||
        isLeftHalf(goal, disk) ||
        movedAway(goal, disk.vmId) !== undefined,
    })),
  ];
  const gone = ids.filter(({ id, goes }) => goes && !wanted.has(id));
  const worked = [...busy].filter((id) => !wanted.has(id));
  return [...new Set([...gone.map(({ id }) => id), ...worked, ...bare(wanted, observed)])].sort();
}

/** When to look again although nothing happens: the end of a quarantine, of a wait before a restart, or of a probe's patience. Null: no such time. */
export function nextLookMs(observed: Observed, nowMs: number, options: PlanOptions): number | null {
  const times = [
    ...[...observed.unnamedSinceMs.values()].map((since) => since + options.reapAfterMs),
    ...[...observed.memory.values()].flatMap(({ notBeforeMs, unreadySinceMs }) =>
      unreadySinceMs === null ? [notBeforeMs] : [notBeforeMs, unreadySinceMs + options.unreadyLimitMs],
    ),
  ].filter((timeMs) => timeMs > nowMs);
  return times.length === 0 ? null : Math.min(...times);
}
