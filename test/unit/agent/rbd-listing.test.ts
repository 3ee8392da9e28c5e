import { beforeEach, expect, test } from 'vitest';
import type { CephClient } from '../../../agent/disks/rbd/ceph-client.ts';
import { RbdListing } from '../../../agent/disks/rbd/listing.ts';
import { Strangers } from '../../../agent/executor/strangers.ts';
import type { DomainView } from '../../../agent/hypervisor/driver.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import { aGoal, FLEET } from '../../support/builders/goal.ts';

let clock: VirtualClock;
let owners: Map<string, string>;
let answers: boolean;
let isUp: boolean;
let asked: number;

beforeEach(() => {
  clock = new VirtualClock(1_000_000);
  owners = new Map([
    ['crm/db', 'h1'],
    ['crm/log', 'h2'],
  ]);
  answers = true;
  isUp = true;
  asked = 0;
});

/** A pool whose machines have these owners. */
const client = {
  pool: { name: 'ceph', pool: 'vms' },
  rbd: async () => {
    asked++;
    if (!isUp) throw new Error('no answer');
    const images = [...owners.keys()].map((vmId) => `machine.${vmId.replace('/', '.')}`);
    return JSON.stringify(['image.abc', 'making.h1.crm.db', ...images]);
  },
  readObject: async (name: string) => {
    const host = owners.get(name.slice('owner.'.length).replace('.', '/'));
    return host === undefined ? null : JSON.stringify({ host, incarnation: 1 });
  },
} as unknown as CephClient;
const aListing = () => new RbdListing(client, 'h1', clock, () => answers);
const none = new Set<string>();

test('machines are those that this host had last, and those asked for by name', async () => {
  const listing = aListing();
  expect(await listing.machines(none)).toEqual(['crm/db']);
  expect(await listing.machines(new Set(['crm/log', 'crm/none']))).toEqual(['crm/db', 'crm/log']);
});

test('what was seen is believed for a while, but not after this host has done something, nor when it matters', async () => {
  const listing = aListing();
  await listing.machines(none);
  await listing.machines(none);
  expect(asked).toBe(1);
  owners.delete('crm/db');
  listing.forget('crm/db');
  expect(await listing.machines(none)).toEqual([]);
  await listing.machines(new Set(['crm/db']));
  expect(asked).toBe(3);
  owners.set('crm/log', 'h1');
  await clock.advance(120_000);
  expect(await listing.machines(none)).toEqual(['crm/log']);
});

test('of a pool that does not answer, what is deleted is not gone, and the pool is not asked again at once', async () => {
  const listing = aListing();
  isUp = false;
  expect(await listing.machines(new Set(['crm/log']))).toEqual(['crm/log']);
  expect(await listing.machines(new Set(['crm/log']))).toEqual(['crm/log']);
  expect(asked).toBe(1);
  isUp = true;
  owners.delete('crm/log');
  await clock.advance(5_000);
  expect(await listing.machines(new Set(['crm/log']))).toEqual(['crm/db']);
});

test('a pool that was seen not to answer is not waited for', async () => {
  const listing = aListing();
  answers = false;
  expect(await listing.machines(none)).toEqual([]);
  expect(asked).toBe(0);
});

test('a machine that runs on such a pool, and that no goal names, is told all the same', () => {
  const strangers = new Strangers();
  const domain = (id: string, overlay: string): DomainView => ({
    ...{ name: id, state: 'running', reason: '', overlay, files: [] },
    mark: { fleet: FLEET, id, incarnation: 4, kind: 'machine', rebootGeneration: 0 },
  });
  const domains = [domain('old/db', 'rbd:vms/machine.old.db'), domain('old/log', '/pools/local/disk.qcow2')];
  strangers.update(aGoal([]), domains, []);
  expect(strangers.list()).toEqual([
    { id: 'old/db', incarnation: 4, running: true, disk: 'rbd:vms/machine.old.db' },
  ]);
});
