import { beforeEach, describe, expect, test } from 'vitest';
import { WeftError } from '../../../agent/kit/errors.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { Catalogue } from '../../../controller/catalogue/contract.ts';
import type { HostLink } from '../../../controller/fleet/contract.ts';
import type { ApplicationRecord, HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { createOperations, type Operations } from '../../../controller/operations/index.ts';
import type { Transaction, TransactionResult } from '../../../controller/store/contract.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { aVmGoal } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';
import { FakeFencer } from '../../support/fakes/fake-fencer.ts';
import { refusal } from '../../support/refusal.ts';

const model = (instances: number, extra = '') => `
apiVersion: weft/v1
kind: Application
name: crm
roles:
  web: {kind: worker, image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}, instances: ${instances}}
${extra}`;

class RacingStore extends MemoryStore {
  /** Runs once, right before the next transaction. */
  before: (() => Promise<unknown>) | null = null;

  override async transact(transaction: Transaction): Promise<TransactionResult> {
    const { before } = this;
    this.before = null;
    await before?.();
    return super.transact(transaction);
  }
}

const catalogue = {
  async resolve(reference: string) {
    if (reference !== 'tiny:stable')
      throw new WeftError('not-found', `there is no image ${reference}`, {
        remedy: 'There is: tiny:stable.',
      });
    return { goal: aVmGoal().image };
  },
} as unknown as Catalogue;

let store: RacingStore;
let forgotten: string[];
let links: HostLink[];
let fencer: FakeFencer;
let operations: Operations;

/** Of one controller: two of them have nothing in common but the store. */
const anOperations = () =>
  createOperations({
    store,
    catalogue,
    clock: new VirtualClock(5_000),
    fleet: { forget: async (host) => void forgotten.push(host), hosts: () => links },
    fencer,
  });

beforeEach(() => {
  store = new RacingStore();
  forgotten = [];
  links = [];
  fencer = new FakeFencer();
  operations = anOperations();
});

const put = (key: string, value: unknown) => store.transact({ puts: [{ key, value }] });
const recordAt = async <T>(key: string) => (await store.get(key))?.value as T | undefined;

/** Id of a pool that hosts share. */
const SAN = 'b00c0000-0000-4000-8000-00000000005a';

describe('apply', () => {
  test('creates, does nothing the second time, and changes what differs', async () => {
    await put('hosts/h1', aHost('h1'));
    expect(await operations.apply('crm', model(2), {})).toEqual({ generation: 1, changed: true });
    const revision = await store.revision();
    expect(await operations.apply('crm', `# a comment\n${model(2)}`, {})).toEqual({
      generation: 1,
      changed: false,
    });
    expect(await store.revision()).toBe(revision);
    expect(await operations.apply('crm', model(3), {})).toEqual({ generation: 2, changed: true });
    expect((await recordAt<ApplicationRecord>('apps/crm'))?.service.roles.web?.instances).toBe(3);
  });

  test('refuses a model of another name, an unknown image and a typo, and writes nothing', async () => {
    expect((await refusal(operations.apply('other', model(1), {}))).code).toBe('invalid-model');
    const unknown = await refusal(
      operations.apply('crm', model(1).replace('tiny:stable', 'tinny:stable'), {}),
    );
    expect(unknown.code).toBe('not-found');
    expect(unknown.message).toContain('web asks for image tinny:stable');
    expect(unknown.remedy).toContain('tiny:stable');
    expect((await refusal(operations.apply('crm', model(1).replace('instances', 'instnces'), {}))).code).toBe(
      'invalid-model',
    );
    expect(await store.revision()).toBe(0);
  });

  test('refuses more than the hosts can hold, and says which resource, where, and what would fit', async () => {
    await put('hosts/h1', aHost('h1', { memoryMiB: 300 }));
    const error = await refusal(operations.apply('crm', model(3), {}));
    expect(error.code).toBe('no-capacity');
    expect(error.message).toContain('h1: needs 128 MiB of memory, 44 of 300 MiB free');
    expect(error.message).toContain('2 of 3 new VMs would fit');
    expect(error.details).toMatchObject({ fits: 2, wanted: 3, refused: ['crm/web-2'] });
    expect(await store.get('apps/crm')).toBeNull();
  });

  test('takes what the hosts cannot hold yet when there is no host at all', async () => {
    expect((await operations.apply('crm', model(3), {})).changed).toBe(true);
  });

  test('counts what is claimed, but not twice for what is replaced', async () => {
    await put('hosts/h1', aHost('h1', { memoryMiB: 256 }));
    await put('apps/crm', anApplication('crm'));
    await put('vms/crm/web-0', aVm({ definition: 'older' }));
    await put('claims/h1', {
      vms: { 'crm/web-0@1': { cpus: 1, memoryMiB: 128, diskMiB: 256, pool: 'local' } },
    });
    await put('vms/other/db', aVm({ id: 'other/db', app: 'other', role: null, index: null }));
    expect((await operations.apply('crm', model(2), {})).changed).toBe(true);
    expect((await refusal(operations.apply('crm', model(3), {}))).code).toBe('no-capacity');
  });

  test('tries again when somebody else wrote in between, and loses nothing of theirs', async () => {
    await operations.apply('crm', model(1), {});
    store.before = () => anOperations().scale('crm', 'web', 4);
    expect(await operations.apply('crm', model(2), {})).toEqual({ generation: 3, changed: true });
  });

  test('refuses an application that is being deleted', async () => {
    await put('apps/crm', anApplication('crm', {}, { deleting: true }));
    expect((await refusal(operations.apply('crm', model(1), {}))).code).toBe('conflict');
  });
});

test('plan tells each VM’s fate and writes nothing', async () => {
  await put('hosts/h1', aHost('h1', { memoryMiB: 300 }));
  await put('apps/crm', anApplication('crm'));
  for (const index of [0, 5])
    await put(`vms/crm/web-${index}`, aVm({ id: `crm/web-${index}`, index, definition: 'older' }));
  await put('vms/crm/old', aVm({ id: 'crm/old', role: null, index: null, kind: 'machine' }));
  const revision = await store.revision();
  const { steps, refusals } = await operations.plan('crm', model(3), {});
  expect(steps.map(({ id, action, host }) => `${action} ${id} ${host}`)).toEqual([
    'replace crm/web-0 h1',
    'create crm/web-1 h1',
    'create crm/web-2 null',
    'keep crm/old null',
    'remove crm/web-5 null',
  ]);
  expect(refusals.map(({ id }) => id)).toEqual(['crm/web-2']);
  expect(await store.revision()).toBe(revision);
});

describe('scale', () => {
  beforeEach(() => put('apps/crm', anApplication('crm', { roles: { web: aRole({ instances: 2 }) } })));

  test('changes the number of a role, and nothing when it is that already', async () => {
    expect(await operations.scale('crm', 'web', 5)).toEqual({ generation: 2 });
    expect(await operations.scale('crm', 'web', 5)).toEqual({ generation: 2 });
    expect(await operations.scale('crm', 'web', 0)).toEqual({ generation: 3 });
  });

  test('refuses unknown names, odd numbers and what does not fit; scaling in always goes', async () => {
    expect((await refusal(operations.scale('nope', 'web', 1))).code).toBe('not-found');
    expect((await refusal(operations.scale('crm', 'constructor', 1))).code).toBe('not-found');
    for (const count of [-1, 1.5, Number.NaN, 100_000])
      expect((await refusal(operations.scale('crm', 'web', count))).code).toBe('bad-request');
    await put('hosts/h1', aHost('h1', { memoryMiB: 64 }));
    expect((await refusal(operations.scale('crm', 'web', 3))).code).toBe('no-capacity');
    expect(await operations.scale('crm', 'web', 1)).toEqual({ generation: 2 });
  });
});

describe('one VM', () => {
  const machine = aVm({ id: 'crm/db', role: null, index: null, kind: 'machine', incarnation: 3 });
  beforeEach(async () => {
    await put('apps/crm', anApplication('crm', { machines: { db: aMachine() } }));
    await put('hosts/h1', aHost('h1'));
    await put('hosts/h2', aHost('h2'));
    await put('vms/crm/web-0', aVm());
    await put('vms/crm/db', machine);
  });

  test('is rebooted by a generation, re-imaged and moved by a wish on its record', async () => {
    await operations.reboot('crm/web-0');
    await operations.reboot('crm/web-0');
    await operations.reimage('crm/web-0');
    await operations.move('crm/web-0', 'h2');
    expect(await recordAt<VmRecord>('vms/crm/web-0')).toMatchObject({
      rebootGeneration: 2,
      reimageRequested: true,
      moveTo: 'h2',
    });
    await operations.move('crm/web-0', null);
    expect((await recordAt<VmRecord>('vms/crm/web-0'))?.moveTo).toBe('*');
  });

  test('is refused what would cost a machine its disk, and what cannot be', async () => {
    expect((await refusal(operations.reimage('crm/db'))).code).toBe('not-supported');
    expect((await refusal(operations.move('crm/db', 'h2'))).code).toBe('not-supported');
    await put('hosts/h1', aHost('h1', { pools: [{ name: 'san', kind: 'shared', id: SAN, sizeMiB: 1 }] }));
    await put('vms/crm/files', { ...machine, id: 'crm/files', pool: 'san' });
    await operations.move('crm/files', null, { mode: 'cold' });
    expect(await recordAt<VmRecord>('vms/crm/files')).toMatchObject({ moveTo: '*', moveMode: 'cold' });
    await operations.abortMove('crm/files');
    expect((await recordAt<VmRecord>('vms/crm/files'))?.moveTo).toBe(null);
    expect((await refusal(operations.abortMove('crm/files'))).code).toBe('conflict');
    expect((await refusal(operations.deleteMachine('crm/web-0'))).code).toBe('not-supported');
    expect((await refusal(operations.reboot('crm/nope'))).code).toBe('not-found');
    expect((await refusal(operations.move('crm/web-0', 'nope'))).code).toBe('not-found');
    expect((await refusal(operations.move('crm/web-0', 'h1'))).message).toContain('already');
    await operations.setDraining('h2', true);
    expect((await refusal(operations.move('crm/web-0', 'h2'))).message).toContain('draining');
    await put('vms/crm/web-0', aVm({ host: null, state: 'pending' }));
    expect((await refusal(operations.reboot('crm/web-0'))).code).toBe('conflict');
  });

  test('a machine that begins anew with another disk is not moved meanwhile', async () => {
    const restoreRequested = { id: '20260102t030405' };
    await put('vms/crm/db', { ...machine, restoreRequested });
    const asked = refusal(operations.move('crm/db', null, { copies: true }));
    expect((await asked).message).toBe(
      'crm/db is about to begin anew: its disk becomes backup 20260102t030405 again',
    );
  });

  test('a machine’s delete is a wish, and ends the declaration in one transaction', async () => {
    await operations.deleteMachine('crm/db');
    const [vm, application] = await Promise.all([store.get('vms/crm/db'), store.get('apps/crm')]);
    expect(vm?.value).toMatchObject({ deleteRequested: true, deleting: false });
    expect(application?.revision).toBe(vm?.revision);
    expect(application?.value).toMatchObject({ service: { machines: {} } });
    expect(application?.value).not.toHaveProperty('retiredMachines');
    const revision = await store.revision();
    await operations.deleteMachine('crm/db');
    expect(await store.revision()).toBe(revision);
  });

  test('nothing else is asked of a machine that is deleted', async () => {
    await operations.deleteMachine('crm/db');
    for (const asked of [operations.reboot('crm/db'), operations.move('crm/db', null, { copies: true })])
      expect((await refusal(asked)).message).toContain('is being deleted');
    expect((await refusal(operations.backup('crm/db', null))).message).toContain('is being deleted');
  });
});

describe('a host', () => {
  test('is drained and undrained', async () => {
    await put('hosts/h1', aHost('h1'));
    await operations.setDraining('h1', true);
    expect((await recordAt<HostRecord>('hosts/h1'))?.draining).toBe(true);
    await operations.setDraining('h1', false);
    expect((await recordAt<HostRecord>('hosts/h1'))?.draining).toBe(false);
    expect((await refusal(operations.setDraining('h9', true))).code).toBe('not-found');
  });

  test('that drains keeps how it was asked; asked again, it is asked anew', async () => {
    await put('hosts/h1', aHost('h1'));
    await put('vms/crm/web-0', aVm());
    await operations.setDraining('h1', true, { mode: 'cold', by: 'ann' });
    expect((await recordAt<HostRecord>('hosts/h1'))?.drain).toEqual({
      ...{ atMs: 5_000, by: 'ann', cold: true, live: false, vms: 1 },
    });
    await operations.setDraining('h1', true);
    expect((await recordAt<HostRecord>('hosts/h1'))?.drain?.cold).toBe(false);
    expect(await operations.drainProgress('h1')).toMatchObject({ host: 'h1', total: 1 });
    await operations.setDraining('h1', false);
    expect((await recordAt<HostRecord>('hosts/h1'))?.drain).toBe(null);
  });

  test('is booted anew only when it is up and in maintenance', async () => {
    await put('hosts/h1', aHost('h1', {}, { draining: true, mode: 'draining' }));
    expect((await refusal(operations.rebootHost('h1'))).message).toContain('up, draining');
    await put('hosts/h1', aHost('h1', {}, { draining: true, mode: 'maintenance' }));
    await operations.rebootHost('h1');
    expect((await recordAt<HostRecord>('hosts/h1'))?.rebootOf).toBe('boot-1');
  });

  test('in maintenance is removed while it is up', async () => {
    await put('hosts/h1', aHost('h1', {}, { draining: true, mode: 'draining' }));
    expect((await refusal(operations.removeHost('h1'))).message).toContain('still draining');
    await put('hosts/h1', aHost('h1', {}, { draining: true, mode: 'maintenance' }));
    await operations.removeHost('h1');
    expect(forgotten).toEqual(['h1']);
  });

  test('with a machine is removed by force and a proof only, and only what it alone had is lost, on the record', async () => {
    const pools = [{ name: 'san', kind: 'shared' as const, id: SAN, sizeMiB: 1 }];
    const proof = { kind: 'operator' as const, host: 'h1', atMs: 1, detail: 'ann signed that it is dead' };
    const db = aVm({ id: 'crm/db', role: null, index: null, kind: 'machine', state: 'unknown' });
    await put('vms/crm/db', db);
    await put('hosts/h1', aHost('h1', { pools }, { state: 'down' }));
    expect((await refusal(operations.removeHost('h1', { force: true }))).message).toContain('nothing proves');
    await put('hosts/h1', aHost('h1', { pools }, { state: 'fenced', proof }));
    expect((await refusal(operations.removeHost('h1'))).message).toContain('still has crm/db');
    await put('vms/crm/db', { ...db, pool: 'san' });
    expect((await refusal(operations.removeHost('h1', { force: true }))).message).toContain(
      'can go on elsewhere',
    );
    await put('vms/crm/db', db);
    await operations.removeHost('h1', { force: true });
    expect(await store.get('hosts/h1')).toBe(null);
    expect(await recordAt<VmRecord>('vms/crm/db')).toMatchObject({
      proof,
      failure: { message: expect.stringContaining('was removed as dead: ann signed') },
    });
  });

  test('is removed only when it is down and empty; its claims and tombstones go with it', async () => {
    await put('hosts/h1', aHost('h1'));
    expect((await refusal(operations.removeHost('h1'))).message).toContain('is up');
    await put('hosts/h1', aHost('h1', {}, { state: 'down' }));
    await put('claims/h1', { vms: {} });
    await put('tombstones/crm/db', { id: 'crm/db', host: 'h1', upToIncarnation: 1, atMs: 0 });
    await put('vms/crm/web-0', aVm());
    expect((await refusal(operations.removeHost('h1'))).message).toContain('crm/web-0');
    await store.transact({ deletes: ['vms/crm/web-0'] });
    await operations.removeHost('h1');
    // Its agent hears of that when it dials.
    expect((await store.list('')).entries).toMatchObject([{ key: 'removed/h1', value: { host: 'h1' } }]);
    expect(forgotten).toEqual(['h1']);
  });
});

test('an application is deleted by a mark, once', async () => {
  expect((await refusal(operations.deleteApplication('crm'))).code).toBe('not-found');
  await put('apps/crm', anApplication('crm'));
  await operations.deleteApplication('crm');
  await operations.deleteApplication('crm');
  expect(await recordAt<ApplicationRecord>('apps/crm')).toMatchObject({ deleting: true, generation: 2 });
});
