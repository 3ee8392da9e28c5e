import type { AgentConfiguration } from '../configuration.ts';
import type { PoolView } from '../disks/contract.ts';
import type { LeaseKeeper } from '../guard/lease-keeper.ts';
import {
  type BackupTarget,
  COPIES_DISKS,
  COUNTS_EVERYWHERE,
  COUNTS_RULES,
  type Goal,
  type Hello,
  MIGRATES_CEPH,
  MIGRATES_LIVE,
  PROTOCOL_VERSION,
  PROVES_STOPS,
  type UnderlayOffer,
} from '../protocol/index.ts';
import type { Identity } from '../session/identity.ts';
import { AGENT_VERSION } from '../version.ts';

const CAPABILITIES = [
  'console',
  'ssh',
  'console-log',
  'screenshot',
  'doctor',
  'backups',
  COUNTS_RULES,
  COUNTS_EVERYWHERE,
  PROVES_STOPS,
  MIGRATES_LIVE,
  COPIES_DISKS,
  MIGRATES_CEPH,
];

export interface HelloParts {
  readonly bootId: string;
  readonly configuration: AgentConfiguration;
  readonly facts: Hello['facts'];
  readonly identity: Identity;
  /** The newest goal that was taken in; null: none yet. */
  readonly goal: Pick<Goal, 'epoch' | 'revision'> | null;
  /** As they are now; what cannot be used is not offered, and said why. */
  readonly pools: readonly PoolView[];
  readonly backupTargets: readonly BackupTarget[];
  /** Null: others could not reach this host. */
  readonly underlay: UnderlayOffer | null;
  readonly keeper: LeaseKeeper | null;
  /** It can be an edge host. */
  readonly edge: boolean;
}

/** Who this host is, what it can do, and what it offers. */
export const composeHello = ({
  bootId,
  configuration,
  facts,
  identity,
  goal,
  pools,
  backupTargets,
  underlay,
  keeper,
  edge,
}: HelloParts): Hello => ({
  type: 'hello',
  protocol: PROTOCOL_VERSION,
  hostName: identity.hostName,
  bootId,
  agentVersion: AGENT_VERSION,
  capabilities: CAPABILITIES,
  facts: { ...facts, notes: [...facts.notes, ...pools.flatMap(({ problem }) => problem ?? [])] },
  offer: {
    faultDomain: configuration.faultDomain,
    labels: configuration.labels,
    cpus: configuration.capacity.cpus,
    cpuRatio: configuration.cpuRatio,
    memoryMiB: configuration.capacity.memoryMiB,
    pools: pools.flatMap(({ name, kind, id, freeMiB, cluster }) =>
      id ? [{ name, kind, id, sizeMiB: freeMiB, ...(cluster === undefined ? {} : { cluster }) }] : [],
    ),
    backups: [...backupTargets],
    fence: configuration.fence,
    edge,
    ...(underlay === null ? {} : { underlay }),
  },
  fleet: identity.fleet,
  epoch: identity.epoch,
  ...(goal?.epoch === identity.epoch ? { revision: goal.revision } : {}),
  ...(keeper === null ? {} : { guard: keeper.state() }),
});
