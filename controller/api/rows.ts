import { type HostMetrics, isNearlyFull } from '../../agent/protocol/index.ts';
import type { Fleet } from '../fleet/contract.ts';
import type { HostMode, HostRecord, VmRecord } from '../model/records.ts';
import { describeStanding } from '../reconciler/encryption.ts';
import { describeApart } from '../reconciler/rules/apart-pools.ts';

type Connections = NonNullable<HostMetrics['connections']>;

/** A row of `weft ps --json`. */
export function vmRow(record: VmRecord) {
  return {
    id: record.id,
    app: record.app,
    role: record.role,
    index: record.index,
    kind: record.kind,
    host: record.host,
    state: record.state,
    address: record.address,
    image: record.image ? `${record.image.name}:${record.image.version}` : null,
    incarnation: record.incarnation,
    overlay: record.overlay,
    step: record.steps.find((step) => step.status === 'running')?.name ?? null,
    /** Where its next incarnation is in the making; null: nowhere. */
    successor: record.successor
      ? {
          host: record.successor.host,
          incarnation: record.successor.incarnation,
          state: record.successor.state,
        }
      : null,
    /** Why it has not begun to leave, although it was moved; null: that, or nothing asks it to. */
    moveWait: record.moveTo === null ? null : (record.moveWait ?? null),
    /** How it last came from one host to another while it ran; null: it never has. */
    lastMove: record.lastMove ?? null,
    failure: record.failure ? { code: record.failure.code, message: record.failure.message } : null,
    sinceMs: record.stateSinceMs,
  };
}
export type VmRow = ReturnType<typeof vmRow>;

/** Before the first plan sees it, a wish is not yet in the mode. */
const modeOf = ({ draining, mode }: HostRecord): HostMode => mode ?? (draining ? 'draining' : 'in-service');

/** Of a host that is up, what its operator wants of it. */
function shownState(record: HostRecord): string {
  const mode = modeOf(record);
  if (mode === 'in-service') return record.state;
  return record.state === 'up' ? mode : `${record.state}, ${mode}`;
}

/** A row of `weft host ls --json`. */
export function hostRow(record: HostRecord, vms: number, fleet: Fleet) {
  const link = fleet.hosts().find((host) => host.name === record.name);
  const strangers = (link?.report?.strangers ?? []).map(
    ({ id, disk }) =>
      `machine ${id} is here (${disk}) and no application declares it: apply its model and it goes on here`,
  );
  const doctor = link?.report?.doctor;
  const errors = doctor?.findings.filter(({ severity }) => severity === 'error').length ?? 0;
  const findings =
    doctor && doctor.count > 0
      ? [`its doctor has found ${doctor.count}, ${errors} of them errors: weft host doctor ${record.name}`]
      : [];
  const guard = guardNotes(record);
  const unencrypted = describeStanding(record.encryption);
  const networkProblems = link?.report?.networkProblems ?? [];
  const apart = Object.entries(record.apartPools ?? {}).map(([pool, each]) => describeApart(pool, each));
  return {
    name: record.name,
    state: shownState(record),
    mode: modeOf(record),
    bootId: record.bootId,
    /** Of the roll that it drains for. */
    roll: record.drain?.roll ?? null,
    rolled: record.rolled ?? null,
    evidence: record.evidence,
    fencing: record.fencing,
    proof: record.proof,
    heldOffUntilMs: record.heldOffUntilMs,
    fenceDevices: record.offer?.fence.length ?? 0,
    guard: record.guard ?? null,
    /** Whether its traffic to other hosts is encrypted; null: nobody asks for it. */
    encryption: record.encryption ?? null,
    /** What is wrong with its guests' network. */
    networkProblems,
    faultDomain: record.offer?.faultDomain ?? null,
    cpus: record.offer?.cpus ?? null,
    memoryMiB: record.offer?.memoryMiB ?? null,
    pools: (record.offer?.pools ?? []).map(({ name, kind, sizeMiB }) => ({ name, kind, sizeMiB })),
    vms,
    lastSeenMs: link?.lastHeardMs || null,
    accelerator: record.facts?.accelerator.kind ?? null,
    notes: [
      ...(record.facts?.notes ?? []),
      ...(record.collision ? [`it takes no VMs: ${record.collision}`] : []),
      ...(unencrypted === null ? [] : [unencrypted]),
      ...networkProblems,
      ...(record.refusedGoal
        ? [`its agent cannot take its goal, and goes on with the one before: ${record.refusedGoal}`]
        : []),
      ...rollNotes(record),
      ...connectionNotes(link?.report?.metrics?.connections),
      ...guard,
      ...apart,
      ...strangers,
      ...findings,
    ],
    agentRssMiB: link?.report?.metrics?.agentRssMiB ?? null,
  };
}

/** A roll is a loop in somebody's command, which may have ended. */
const rollNotes = ({ name, drain }: HostRecord): readonly string[] =>
  drain?.roll
    ? [
        `${drain.by} rolls it, begun ${drain.roll.id.slice(0, 19)}: if nobody goes on with that, weft host roll does, and weft host undrain ${name} ends it here`,
      ]
    : [];

/** A table of connections that is full lets nobody connect, neither guests nor the host. */
function connectionNotes(seen: Connections | undefined): readonly string[] {
  if (!seen || !isNearlyFull(seen)) return [];
  const { count, max, barred } = seen;
  const who = barred.length === 0 ? '' : `; these begin none until there is room: ${barred.join(', ')}`;
  return [
    `its table of connections is nearly full, ${count} of ${max} (sysctl net.netfilter.nf_conntrack_max)${who}`,
  ];
}

/** What an operator should know of a host's guard; nothing of a host without one. */
function guardNotes({ guard, name }: HostRecord): readonly string[] {
  if (!guard) return [];
  const lease = `lease ${guard.leaseMs / 1000} s`;
  if (!guard.running)
    return [
      `guard: on, ${lease}, but it does not run: start weft-guard on ${name}, or nothing is stopped there`,
    ];
  const { watchdog } = guard;
  if (!watchdog) return [`guard: on, ${lease}, without a watchdog: its lease running out proves nothing`];
  const device = `${watchdog.identity || 'unknown'}, ${watchdog.timeoutMs / 1000} s`;
  if (watchdog.armed && watchdog.dependable) return [`guard: on, ${lease}, watchdog armed (${device})`];
  const what = watchdog.armed ? 'armed, but not to be relied on' : 'not armed';
  return [`guard: on, ${lease}, watchdog ${what}${watchdog.note ? `: ${watchdog.note}` : ''}`];
}

export type HostRow = ReturnType<typeof hostRow>;
