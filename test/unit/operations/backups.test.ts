import { beforeEach, describe, expect, test } from 'vitest';
import { WeftError } from '../../../agent/kit/errors.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { Catalogue } from '../../../controller/catalogue/contract.ts';
import { backupRef } from '../../../controller/model/backup-ids.ts';
import type { BackupRecord, HostRecord } from '../../../controller/model/index.ts';
import { Backups, requireBackups } from '../../../controller/operations/backups.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aMachine, anApplication, aRole, aService } from '../../support/builders/application.ts';
import { aBackup, VAULT } from '../../support/builders/backup.ts';
import { aVmGoal } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';
import { refusal } from '../../support/refusal.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const REF = 'crm/db/20260102t030405';
const DB = aVm({ id: 'crm/db', role: null, index: null, kind: 'machine' });

let store: MemoryStore;
let images: string[];
let backups: Backups;
beforeEach(async () => {
  store = new MemoryStore();
  images = ['tiny:1'];
  const catalogue = {
    async resolve(reference: string) {
      if (!images.includes(reference)) throw new WeftError('not-found', `there is no image ${reference}`);
      return { goal: aVmGoal().image };
    },
  } as unknown as Catalogue;
  backups = new Backups({ store, catalogue, clock: new VirtualClock(NOW) });
  await put('hosts/h1', aHostWith(VAULT));
  await put('apps/crm', anApplication('crm', { roles: { web: aRole() }, machines: { db: aMachine() } }));
  await put('vms/crm/db', DB);
});

const put = (key: string, value: unknown) => store.transact({ puts: [{ key, value }] });
const keep = (record: BackupRecord) => put(`backups/${backupRef(record)}`, record);
const recordAt = async (ref = REF) => (await store.get(`backups/${ref}`))?.value as BackupRecord | undefined;

function aHostWith(...targets: (typeof VAULT)[]): HostRecord {
  const { offer, ...host } = aHost('h1');
  return { ...host, offer: offer && { ...offer, backups: targets } };
}

describe('asking for a backup', () => {
  test('writes what is wanted, where, and what it will be of', async () => {
    expect(await backups.backup('crm/db', null)).toEqual({ backup: REF });
    expect(await recordAt()).toMatchObject({
      ...{ state: 'wanted', reason: 'asked', target: 'vault', targetId: VAULT.id, host: 'h1' },
      ...{ image: { name: 'tiny', version: '1' }, pool: 'local', made: null },
    });
  });

  test('gives each one of a second a name of its own', async () => {
    await backups.backup('crm/db', 'vault');
    expect(await backups.backup('crm/db', 'local')).toEqual({ backup: 'crm/db/20260102t030406' });
  });

  test('is refused where it can go nowhere, with what there is', async () => {
    const unknown = await refusal(backups.backup('crm/db', 'valt'));
    expect([unknown.code, unknown.remedy]).toEqual(['not-found', expect.stringContaining('vault, local')]);
    await put('hosts/h1', aHostWith());
    expect((await refusal(backups.backup('crm/db', null))).remedy).toContain('--to local');
  });

  test('is refused for an instance, for what is going and for what is not there', async () => {
    await put('vms/crm/web-0', aVm());
    expect((await refusal(backups.backup('crm/web-0', null))).code).toBe('not-supported');
    await put('vms/crm/db', { ...DB, deleting: true });
    expect((await refusal(backups.backup('crm/db', null))).code).toBe('conflict');
    expect((await refusal(backups.backup('crm/nothing', null))).code).toBe('not-found');
  });
});

describe('asking for a restore', () => {
  beforeEach(() => keep(aBackup()));

  test('has the whole backup read first, by a host that has it', async () => {
    const { as } = await backups.restore(REF, 'crm/copy');
    expect(as).toBe('crm/copy');
    expect((await recordAt())?.restore).toMatchObject({ as: 'crm/copy', host: 'h1', state: 'verifying' });
    expect((await refusal(backups.restore(REF, 'crm/other'))).code).toBe('conflict');
    expect((await refusal(backups.removeBackup(REF))).code).toBe('conflict');
  });

  test('in place is of the machine itself, on its own host', async () => {
    expect((await backups.restore(REF, null)).as).toBe('crm/db');
    await keep(aBackup({ targetId: 'b00c0000-0000-4000-8000-0000000000bb' }));
    expect((await refusal(backups.restore(REF, null))).message).toContain('h1 does not have that');
  });

  test.each([
    ['a name that is taken', 'crm/db', 'conflict'],
    ['a name of an instance', 'crm/web-7', 'conflict'],
    ['an application that is not there', 'shop/copy', 'not-found'],
    ['what is no name', 'crm/../copy', 'bad-request'],
  ])('to %s is refused', async (_what, as, code) => {
    expect((await refusal(backups.restore(REF, as))).code).toBe(code);
    expect((await recordAt())?.restore).toBeNull();
  });

  test('is refused for what is not whole, has no image any more, or no host that has it', async () => {
    images = [];
    expect((await refusal(backups.restore(REF, 'crm/copy'))).message).toContain('tiny:1, which is not there');
    images = ['tiny:1'];
    await put('hosts/h1', { ...aHostWith(VAULT), state: 'down' });
    expect((await refusal(backups.restore(REF, 'crm/copy'))).code).toBe('host-unreachable');
    await keep(aBackup({ state: 'failed', made: null }));
    expect((await refusal(backups.restore(REF, 'crm/copy'))).message).toContain('it is failed');
    expect((await refusal(backups.restore('crm/db/20250102t030405', 'crm/copy'))).code).toBe('not-found');
  });
});

test('what failed is forgotten at once; what was made is removed by its host first', async () => {
  await keep(aBackup({ state: 'failed', made: null }));
  await backups.removeBackup(REF);
  expect(await recordAt()).toBeUndefined();
  await keep(aBackup());
  await backups.removeBackup(REF);
  expect((await recordAt())?.state).toBe('removing');
  expect((await refusal(backups.removeBackup('crm/db/20250102t030405'))).code).toBe('not-found');
});

test('a model that begins a machine with a backup is refused when that is not whole', async () => {
  const service = aService('crm', {
    machines: { fresh: aMachine({ from: REF }), db: aMachine({ from: REF }) },
  });
  expect((await refusal(requireBackups(store, service))).message).toContain(
    `machine fresh begins as backup ${REF}`,
  );
  await keep(aBackup());
  await requireBackups(store, service);
});
