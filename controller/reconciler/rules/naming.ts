import { type NamesGoal, refusalOf, type Step } from '../../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../../model/records.ts';
import { zoneOf } from '../../model/zone.ts';
import type { Draft } from '../draft.ts';
import { edgeHosts } from '../edge-hosts.ts';
import { hasName, ownRecords } from '../name-records.ts';
import { addressesOf } from '../names-goals.ts';
import { mergeSteps } from '../steps.ts';
import { nameServerFault } from './name-servers.ts';

type Judgement = Pick<Step, 'status' | 'detail'>;

/**
 * A VM has its name when every name server that is up answers with its own records, whether it is ready or not. Where there is none, or none
 * that says which records it serves, that step is skipped; where name servers leave a record of it out, it has failed.
 */
export function followNaming(draft: Draft): void {
  const servers = draft.of('hosts', presentServers).filter(({ name }) => canServe(draft, name));
  const telling = servers.filter(({ name }) => !isMute(draft, name));
  const untold = servers.length > 0 && telling.length === 0 ? mutely(servers) : undefined;
  for (const record of draft.of('vms', unnamedVms)) {
    const known = record.steps.find(({ name }) => name === 'name');
    const { status, detail } = untold ?? judge(draft, record, telling);
    if ((known?.status ?? 'skipped') === status && known?.detail === detail) continue;
    const startedAtMs = known?.status === 'running' ? known.startedAtMs : draft.nowMs;
    const step: Step = { name: 'name', status, startedAtMs, ms: draft.nowMs - startedAtMs };
    const steps = mergeSteps(record.steps, [detail === undefined ? step : { ...step, detail }]);
    draft.put('vms', record.id, { ...record, steps });
  }
}

/** One that is silent for a moment only goes on answering. */
function presentServers(hosts: readonly HostRecord[]): readonly HostRecord[] {
  const names = edgeHosts(hosts);
  return hosts
    .filter(({ name, state }) => names.has(name) && (state === 'up' || state === 'suspect'))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

const edgeReportOf = (draft: Draft, host: string) => draft.world.live.get(host)?.report?.edge;

/** One without the programs for it is no name server, and is not waited for. */
const canServe = (draft: Draft, host: string): boolean =>
  nameServerFault(draft.world.live.get(host)?.report) !== 'absent';

/** It serves names and does not say which: nothing can be judged by it. */
function isMute(draft: Draft, host: string): boolean {
  const names = edgeReportOf(draft, host)?.names;
  return names?.state === 'served' && names.digest === undefined;
}

const mutely = (servers: readonly HostRecord[]): Judgement => ({
  status: 'skipped',
  detail: `older agents do not say which names they serve: ${listed(servers)}`,
});

function judge(draft: Draft, record: VmRecord, servers: readonly HostRecord[]): Judgement {
  if (servers.length === 0) return { status: 'skipped' };
  const { fleet, zones } = draft.world;
  const networks = { get: (id: string) => draft.get('networks', id) };
  const own: NamesGoal['records'] = ownRecords(record, addressesOf(record, { networks, fleet }));
  const refusals = own.flatMap((each) => refusalOf(each, zoneOf(fleet)) ?? []);
  if (refusals.length > 0) return { status: 'failed', detail: `left out: ${refusals.join('; ')}` };
  const isServed = servers.every(({ name }) => {
    const digest = edgeReportOf(draft, name)?.names?.digest;
    return digest !== undefined && zones?.hasAll(digest, own) === true;
  });
  return isServed ? { status: 'done', detail: `on ${listed(servers)}` } : { status: 'running' };
}

const unnamedVms = (vms: readonly VmRecord[]): readonly VmRecord[] =>
  vms.filter(
    (vm) => hasName(vm) && !vm.steps.some(({ name, status }) => name === 'name' && status === 'done'),
  );

const listed = (servers: readonly HostRecord[]): string =>
  servers.length > 5 ? `${servers.length} hosts` : servers.map(({ name }) => name).join(', ');
