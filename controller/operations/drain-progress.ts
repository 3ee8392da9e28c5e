import type { LiveMove } from '../model/live-move.ts';
import {
  type BackupRecord,
  type HostMode,
  type HostRecord,
  isToGo,
  type VmRecord,
} from '../model/records.ts';
import { beingBackedUp } from '../reconciler/backup-tasks.ts';
import { oldDisksOn } from '../reconciler/rules/copied-disks.ts';
import { sharedPoolOf } from '../reconciler/shared-pools.ts';
import { summarize } from '../scheduler/explain.ts';

/** What a VM that is to leave waits for. `operator`: for nothing that comes by itself. */
export type LeavingWait =
  | 'successor'
  | 'migration'
  | 'turn'
  | 'backup'
  | 'room'
  | 'stop'
  | 'retry'
  | 'host'
  | 'removal'
  | 'operator';

export interface DrainProgress {
  readonly host: string;
  readonly state: HostRecord['state'];
  readonly mode: HostMode;
  /** Null: it is not draining. */
  readonly asked: {
    readonly atMs: number;
    readonly by: string;
    readonly cold: boolean;
    readonly live: boolean;
  } | null;
  /** VMs to leave in all. */
  readonly total: number;
  readonly left: readonly {
    readonly id: string;
    readonly state: string;
    readonly waitsFor: LeavingWait;
    readonly reason: string;
  }[];
}

interface Others {
  /** VMs that are on their way to another host. */
  readonly moving: readonly VmRecord[];
  readonly backedUp: ReadonlySet<string>;
}

type Wait = readonly [waitsFor: LeavingWait, reason: string];

/** How far a drain is, and what each VM that is left waits for. Pure: made of records alone. */
export function drainProgress(
  host: HostRecord,
  vms: readonly VmRecord[],
  backups: readonly BackupRecord[],
  nowMs: number,
): DrainProgress {
  const backedUp = beingBackedUp(backups);
  const here = vms.filter((vm) => vm.host === host.name);
  const moving = vms.filter(({ successor }) => successor);
  const removed = Object.keys(host.superseded).filter((id) => !here.some((vm) => vm.id === id));
  const oldDisks = oldDisksOn(vms, host).filter(
    (id) => !here.some((vm) => vm.id === id) && !removed.includes(id),
  );
  const arriving = moving.filter(({ successor }) => successor?.host === host.name);
  const left = [
    ...here.map((vm) => {
      const [waitsFor, reason] = waitOf(host, vm, { moving, backedUp }, nowMs);
      return { id: vm.id, state: vm.state, waitsFor, reason };
    }),
    ...arriving.map(({ id }) => ({
      id,
      state: 'placing',
      waitsFor: 'removal' as const,
      reason: 'it was to come here; that is being undone',
    })),
    ...oldDisks.map((id) => ({
      id,
      state: 'stopping',
      waitsFor: 'removal' as const,
      reason: 'its disk here is kept until it is ready with its copy elsewhere, then removed',
    })),
    ...removed.map((id) => ({
      id,
      state: 'stopping',
      waitsFor: 'removal' as const,
      reason: 'it runs elsewhere; what is left of it here is being removed',
    })),
  ].sort((one, other) => (one.id < other.id ? -1 : 1));
  const { drain } = host;
  return {
    host: host.name,
    state: host.state,
    mode: host.mode ?? 'in-service',
    asked: drain ? { atMs: drain.atMs, by: drain.by, cold: drain.cold, live: drain.live === true } : null,
    total: Math.max(drain?.vms ?? 0, left.length),
    left,
  };
}

function waitOf(host: HostRecord, vm: VmRecord, others: Others, nowMs: number): Wait {
  if (isToGo(vm)) return ['removal', 'it is being deleted'];
  if (host.state !== 'up') return ['host', `host ${host.name} is ${host.state}: ${host.evidence}`];
  if (vm.role === null) return waitOfMachine(host, vm, others, nowMs);
  if (vm.successor) {
    const { host: there, state, sinceMs } = vm.successor;
    return [
      'successor',
      `its successor on ${there} is ${state}, for ${Math.max(0, Math.round((nowMs - sinceMs) / 1000))} s`,
    ];
  }
  // One of an earlier asking is forgotten by the next plan.
  if (vm.stay?.askedAtMs === host.drain?.atMs) return waitOfStay(host, vm);
  return waitOfRoom(vm);
}

function waitOfMachine(host: HostRecord, vm: VmRecord, { moving, backedUp }: Others, nowMs: number): Wait {
  const machine = `machine ${vm.id} on`;
  const pool = sharedPoolOf(host, vm.pool);
  if (!pool && host.drain?.copies !== true && !vm.successor)
    return [
      'operator',
      `waits for an operator: ${machine} local pool ${vm.pool}, its disk is on this host. To copy it along: weft move ${vm.id} --copy-storage`,
    ];
  if (vm.successor?.live) return waitOfHandOver(vm.successor.host, vm.successor.live, nowMs);
  if (vm.successor) return ['stop', `it is stopped here, to go on at ${vm.successor.host}`];
  if (vm.stay?.askedAtMs === (host.drain?.atMs ?? 0) && vm.moveTo === null) {
    if (vm.stay?.retryAtMs != null) return ['retry', `${vm.stay.message}; it is tried again`];
    if (vm.stay)
      return [
        'operator',
        pool
          ? `waits for an operator: ${vm.stay.message}. If it may be stopped for it: weft move ${vm.id} --cold`
          : `waits for an operator: ${vm.stay.message}. Once more: weft move ${vm.id} --copy-storage`,
      ];
  }
  if (host.drain?.cold !== true && backedUp.has(vm.id)) return ['backup', 'its backup is made first'];
  return waitOfTurn(vm, moving) ?? waitOfRoom(vm);
}

function waitOfHandOver(
  there: string,
  { state, sinceMs, reason, copy, percent }: LiveMove,
  nowMs: number,
): Wait {
  const seconds = Math.max(0, Math.round((nowMs - sinceMs) / 1000));
  if (state === 'preparing') return ['migration', `${there} makes ready for it, for ${seconds} s`];
  if (state === 'stopping') return ['migration', `its way to ${there} is being ended: ${reason}`];
  const along = copy
    ? `, with its disk${percent === undefined ? '' : `, of which ${percent} % is there`}`
    : '';
  return ['migration', `it goes to ${there} while it runs${along}, for ${seconds} s`];
}

function waitOfStay({ name }: HostRecord, { stay }: VmRecord): Wait {
  return stay?.retryAtMs == null
    ? [
        'operator',
        `${stay?.message}; tried ${stay?.failures} times, it stays. Once more: weft host drain ${name}`,
      ]
    : ['retry', `${stay.message}; it is tried again`];
}

function waitOfTurn(vm: VmRecord, moving: readonly VmRecord[]): Wait | null {
  const first = moving.find((other) => other.networkId === vm.networkId && other.id !== vm.id);
  return first ? ['turn', `it is its turn after ${first.id}`] : null;
}

const waitOfRoom = ({ placement, failure, state }: VmRecord): Wait =>
  placement && placement.chosen === null
    ? ['room', `no other host can take it: ${summarize(placement)}`]
    : ['turn', failure ? `it is ${state}: ${failure.message}` : `it is ${state}, and about to be moved`];
