import type { VmRecord } from '../../../controller/model/index.ts';
import { TINY_SIZE } from './application.ts';
import { aVmGoal } from './goal.ts';

/** A ready instance `crm/web-0`, first incarnation, on h1, unless told otherwise. */
export function aVm(overrides: Partial<VmRecord> = {}): VmRecord {
  return {
    id: 'crm/web-0',
    app: 'crm',
    role: 'web',
    index: 0,
    kind: 'worker',
    state: 'ready',
    attempt: 1,
    incarnation: 1,
    host: 'h1',
    power: 'running',
    definition: 'd',
    image: aVmGoal().image,
    size: TINY_SIZE,
    pool: 'local',
    poolId: null,
    diskIncarnation: 0,
    proof: null,
    networkId: 'crm/web',
    address: '10.128.0.10',
    mac: '52:54:0a:80:00:0a',
    rebootGeneration: 0,
    reimageRequested: false,
    moveTo: null,
    failures: 0,
    failedOn: {},
    restarts: null,
    retryAtMs: null,
    failure: null,
    steps: [],
    tasks: [],
    phase: 'ready',
    overlay: null,
    createdAtMs: 0,
    stateSinceMs: 0,
    readyAtMs: 0,
    deleting: false,
    placement: null,
    ...overrides,
  };
}
