import { afterEach, expect, test } from 'vitest';
import type { VmRecord } from '../../controller/model/index.ts';
import { MemoryStore } from '../../controller/store/memory/memory-store.ts';
import { convergedUnder } from './support/converged.ts';
import { shapesOf } from './support/explore.ts';
import { model } from './support/faults.ts';
import { fullCheck } from './support/invariants/full-check.ts';
import { Simulation } from './support/simulation.ts';

let simulation: Simulation | null = null;
afterEach(() => simulation?.killController());

/** A fabric at rest, its store as it is and as it may be broken behind the back of all that is remembered. */
async function fabric() {
  simulation = await Simulation.start({ seed: 3, hosts: shapesOf(3, 3) });
  await simulation.operations.apply('shop', model(2, 1), {});
  const { hosts, invariants, store } = simulation;
  await simulation.until('all to run', (records) => convergedUnder(records, hosts));
  const broken = new MemoryStore();
  await broken.transact({ puts: (await store.list('')).entries });
  return {
    broken,
    check: () => fullCheck(broken, invariants.hosts, invariants.records, invariants.contents),
  };
}

test('a fabric at rest is found as it should be', async () => {
  const { check } = await fabric();
  expect(await check()).toEqual([]);
});

test('a placement without a claim, an address that two have, and what is not as remembered are found', async () => {
  const { broken, check } = await fabric();
  const web = (await broken.get('vms/shop/web-0'))?.value as VmRecord;
  const db = (await broken.get('vms/shop/db'))?.value as VmRecord;
  await broken.transact({
    puts: [{ key: 'vms/shop/web-0', value: { ...web, incarnation: 9, address: db.address } }],
  });
  const wrong = await check();
  expect(wrong).toEqual([
    expect.stringMatching(
      /exactly its claim: placed without one .*shop\/web-0@9; claimed for nothing .*shop\/web-0@1/,
    ),
    expect.stringMatching(/no two VMs share an address/),
    'what is remembered is not what is in the store',
  ]);
});

test('more claims than a host offers, and something on a host in maintenance, are found', async () => {
  const { broken, check } = await fabric();
  const { entries } = await broken.list('hosts/');
  await broken.transact({
    puts: entries.map(({ key, value }) => {
      const host = value as { offer: object };
      return { key, value: { ...host, mode: 'maintenance', offer: { ...host.offer, memoryMiB: 1 } } };
    }),
  });
  const wrong = (await check()).join('\n');
  expect(wrong).toMatch(/capacity is never over-promised/);
  expect(wrong).toMatch(/in maintenance is gone: h\d has/);
});
