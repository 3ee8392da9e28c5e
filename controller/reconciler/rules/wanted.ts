import { WeftError } from '../../../agent/kit/errors.ts';
import { isHandedOver } from '../../model/live-move.ts';
import type { ApplicationRecord, VmRecord } from '../../model/records.ts';
import { highestOf } from '../../model/successor.ts';
import { networkOf, takeAddress } from '../addresses.ts';
import { machineDefinition, roleDefinition } from '../definition.ts';
import { derived } from '../derived.ts';
import type { Draft } from '../draft.ts';
import { drainsBeforeItGoes } from '../drains.ts';
import { networkNameOf } from '../flows.ts';
import { change } from '../instance-states.ts';

const nameOf = (vmId: string) => vmId.slice(vmId.indexOf('/') + 1);

export type Declared = Pick<VmRecord, 'id' | 'role' | 'index' | 'kind' | 'size' | 'pool' | 'definition'>;

const DEFAULT_POOL = 'local';
/** Records made in one pass: its transaction wakes the next one. */
const CREATIONS_IN_A_PASS = 1_000;

/** Records never change: what one declares is worked out once. */
const declarations = new WeakMap<ApplicationRecord, readonly Declared[]>();

/** Every VM that an application declares. */
export function declaredVms(application: ApplicationRecord): readonly Declared[] {
  const known = declarations.get(application) ?? declare(application);
  declarations.set(application, known);
  return known;
}

/** What is declared of this VM now; undefined: nothing. */
export function declaredOf(draft: Draft, { app, id }: Pick<VmRecord, 'app' | 'id'>): Declared | undefined {
  const application = draft.get('applications', app);
  return application && declaredVms(application).find((made) => made.id === id);
}

function declare(application: ApplicationRecord): Declared[] {
  const { name, roles, machines, package: applicationPackage } = application.service;
  const declared: Declared[] = [];
  for (const [role, made] of Object.entries(roles)) {
    const definition = roleDefinition(made, applicationPackage);
    const { kind, size, pool, instances } = made;
    for (let index = 0; index < instances; index++)
      declared.push({
        id: `${name}/${role}-${index}`,
        role,
        index,
        kind,
        size,
        pool: pool ?? DEFAULT_POOL,
        definition,
      });
  }
  for (const [machine, made] of Object.entries(machines))
    declared.push({
      id: `${name}/${machine}`,
      role: null,
      index: null,
      kind: 'machine',
      size: made.size,
      pool: made.pool,
      definition: machineDefinition(made),
    });
  return declared;
}

/** Makes a record for every VM that is declared and has none, and marks what nobody declares any more as going. */
export function followApplications(draft: Draft): void {
  let created = 0;
  for (const application of draft.all('applications')) {
    if (isAsDeclared(draft, application)) continue;
    const declared = application.deleting ? [] : declaredVms(application);
    const wanted = derived(application, wantedIds);
    for (const made of declared) {
      if (created >= CREATIONS_IN_A_PASS) break;
      if (createIfMissing(draft, application, made)) created++;
    }
    for (const record of draft.all('vms'))
      if (record.app === application.name && goes(application, wanted, record))
        letGo(draft, record, application);
  }
}

const wantedIds = (application: ApplicationRecord): ReadonlySet<string> =>
  new Set(application.deleting ? [] : declaredVms(application).map(({ id }) => id));

/** An application → all records of VMs, among which its own are those that it declares. */
const asDeclared = new WeakMap<ApplicationRecord, readonly VmRecord[]>();

/** What was not made for want of an address, or waits for a disk to go, is tried in each pass. */
function isAsDeclared(draft: Draft, application: ApplicationRecord): boolean {
  const records = draft.all('vms');
  if (asDeclared.get(application) === records) return true;
  const wanted = derived(application, wantedIds);
  let present = 0;
  for (const record of records) {
    if (record.app !== application.name) continue;
    if (wanted.has(record.id)) present++;
    if (goes(application, wanted, record)) return false;
  }
  if (present < wanted.size) return false;
  asDeclared.set(application, records);
  return true;
}

/** A machine goes by a user's delete alone: of itself, also if it is declared anew, or of its application; and when it is known which host has it. */
function goes(application: ApplicationRecord, wanted: ReadonlySet<string>, record: VmRecord): boolean {
  if (record.deleting) return false;
  if (record.role !== null) return !wanted.has(record.id);
  return (application.deleting || record.deleteRequested === true) && !isHandedOver(record);
}

function letGo(draft: Draft, record: VmRecord, application: ApplicationRecord): void {
  const why = application.deleting
    ? 'its application is deleted'
    : record.deleteRequested
      ? 'it is deleted'
      : 'it is scaled in';
  if (drainsBeforeItGoes(draft, record, why)) return;
  if (record.kind === 'machine' && record.host !== null)
    draft.put('tombstones', record.id, {
      id: record.id,
      host: record.host,
      upToIncarnation: highestOf(record),
      atMs: draft.nowMs,
    });
  change(draft, record, 'stopping', why, { deleting: true, power: 'stopped' });
}

/** @returns true when a record was made. */
function createIfMissing(draft: Draft, application: ApplicationRecord, made: Declared): boolean {
  if (draft.get('vms', made.id)) return false;
  // The disk of a machine of the same name is still on its way out.
  if (draft.get('tombstones', made.id)) return false;
  try {
    const network = networkOf(
      draft,
      application.name,
      made.role ?? networkNameOf(application.service.machines[nameOf(made.id)]),
    );
    const { address, mac } = takeAddress(draft, network, made.id);
    const highest = draft.get('incarnations', application.name)?.highest ?? 0;
    draft.put('vms', made.id, {
      ...made,
      app: application.name,
      state: 'pending',
      attempt: 1,
      incarnation: highest,
      ...(highest > 0 ? { addressSince: highest + 1 } : {}),
      host: null,
      power: 'running',
      image: null,
      poolId: null,
      diskIncarnation: 0,
      proof: null,
      networkId: network.id,
      address,
      mac,
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
      phase: null,
      overlay: null,
      createdAtMs: draft.nowMs,
      stateSinceMs: draft.nowMs,
      readyAtMs: null,
      deleting: false,
      placement: null,
    });
    draft.tell(
      'vm-created',
      made.id,
      `declared by ${application.name}, generation ${application.generation}`,
    );
    return true;
  } catch (error) {
    // Not told from here: nothing would remember that it was, and each pass would tell it again.
    if (WeftError.from(error).code !== 'no-capacity') throw error;
    return false;
  }
}
