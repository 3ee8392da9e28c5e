import { afterAll, beforeAll, expect, test } from 'vitest';
import { Connection, DomainJobStatsFlag, DomainMigrateFlag } from '../src/index.ts';
import { GuestConsole } from './support/console.ts';
import { guestImage } from './support/guest-image.ts';
import { guestXml } from './support/guest-xml.ts';
import { Heard } from './support/heard.ts';
import { PrivateLibvirt } from './support/private-libvirt.ts';
import { timed, until } from './support/wait.ts';

/** A live guest between two libvirtds, which have a network in common and nothing else. */

const LIVE = DomainMigrateFlag.LIVE | DomainMigrateFlag.PEER2PEER;
const THERE = { migrationUri: 'tcp://127.0.0.1' };

let here: PrivateLibvirt;
let there: PrivateLibvirt;
beforeAll(async () => {
  here = await PrivateLibvirt.start({ name: 'here' });
  there = await PrivateLibvirt.start({ name: 'there', beside: here });
});
afterAll(async () => {
  await there?.stop();
  await here?.stop();
});

test('a guest moves while it runs, is stopped half-way when asked to, and tells both sides', async () => {
  const image = await guestImage();
  const [source, target] = await Promise.all([Connection.open(here.uri), Connection.open(there.uri)]);
  const [left, arrived] = [new Heard(source), new Heard(target)];
  const domain = await source.createDomain(guestXml({ name: 'mover', image }));
  const shell = await GuestConsole.open(domain);
  await shell.says(/guest ready/);
  await shell.run('carried=along');

  // Slow enough to be caught: 1 MiB/s of at least 20 MiB.
  const slow = timed(domain.migrateToURI(there.migrationUri, LIVE, { ...THERE, bandwidthMiBps: 1n }));
  let failed: unknown;
  void slow.then(({ error }) => {
    failed = error;
  });
  const job = await until('the migration under way', async () => {
    if (failed !== undefined) throw failed;
    const { type, statistics } = await domain.getJobStatistics();
    return type === 'unbounded' && Number(statistics.memory_processed ?? 0) > 0 ? statistics : undefined;
  });
  expect(job.memory_total).toEqual(expect.any(BigInt));
  await domain.abortJob();
  expect((await slow).error).toMatchObject({ codeName: 'VIR_ERR_OPERATION_ABORTED' });
  expect(await domain.getState()).toMatchObject({ state: 'running' });
  expect(await shell.run('echo "carried $carried"')).toContain('carried along');

  await domain.migrateToURI(there.migrationUri, LIVE, THERE);
  expect(await left.first('lifecycle', (event) => event.type === 'stopped')).toMatchObject({
    detail: 'migrated',
  });
  expect(await arrived.first('lifecycle', (event) => event.type === 'resumed')).toMatchObject({
    detail: 'migrated',
    domain: { name: 'mover', uuid: domain.uuid },
  });
  expect((await left.first('migration-iteration')).iteration).toBeGreaterThan(0);
  expect(await domain.getJobStatistics(DomainJobStatsFlag.COMPLETED).catch(() => null)).toBeNull();
  await shell.ended.catch(() => undefined);

  const moved = await target.lookupDomainByUuid(domain.uuid);
  expect(await moved.getState()).toMatchObject({ state: 'running', reason: 'migrated' });
  expect((await moved.getJobStatistics(DomainJobStatsFlag.COMPLETED)).type).toBe('completed');
  const again = await GuestConsole.open(moved);
  expect(await again.run('echo "carried $carried"')).toContain('carried along');
  await moved.destroy();
  await Promise.all([source.close(), target.close()]);
});

test('a migration to nowhere fails with libvirt’s words, and the guest stays', async () => {
  const image = await guestImage();
  const source = await Connection.open(here.uri);
  const domain = await source.createDomain(guestXml({ name: 'stays', image }));
  await expect(domain.migrateToURI('qemu+unix:///system?socket=/nowhere', LIVE, THERE)).rejects.toMatchObject(
    {
      name: 'LibvirtError',
      operation: 'domainMigrateToUri',
    },
  );
  expect(await domain.getState()).toMatchObject({ state: 'running' });
  await domain.destroy();
  await source.close();
});
