import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FrozenGuests } from '../../../agent/backups/frozen-guests.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import { FakeBackupDriver } from '../../support/fakes/fake-backup-driver.ts';
import { waitFor } from '../../support/wait-for.ts';

let folder: string;
let driver: FakeBackupDriver;
let clock: VirtualClock;
let guests: FrozenGuests;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-frozen-'));
  driver = new FakeBackupDriver();
  driver.hasAgent = driver.freezes = true;
  clock = new VirtualClock();
  const log = createLogger('test', 'silent');
  guests = new FrozenGuests({ driver, note: () => join(folder, 'frozen'), clock, log });
});
afterEach(async () => {
  guests.close();
  await rm(folder, { recursive: true, force: true });
});

const notes = () => readdir(folder);
const away = () => new WeftError('host-unreachable', 'libvirt does not answer');
test('that a guest may be frozen is written down before it is asked, and struck out when it was thawed', async () => {
  const seen: string[][] = [];
  const { freeze } = driver;
  driver.freeze = async (domain) => {
    seen.push(await notes());
    return freeze.call(driver, domain);
  };
  expect(await guests.freeze('crm/db', 'd')).toBeNull();
  expect(seen).toEqual([['frozen']]);
  await guests.thaw('crm/db', 'd');
  expect(await notes()).toEqual([]);
  expect(driver.said).toEqual(['freeze d', 'thaw d']);
});

test('a guest without an agent is owed nothing', async () => {
  driver.hasAgent = false;
  expect(await guests.freeze('crm/db', 'd')).toBe('the guest has no agent');
  await guests.thaw('crm/db', 'd');
  expect(driver.said).toEqual(['freeze d']);
  expect(await notes()).toEqual([]);
});

test('a guest that cannot be thawed is tried again until it is', async () => {
  driver.thawFailures.push(away(), away());
  await guests.freeze('crm/db', 'd');
  await guests.thaw('crm/db', 'd');
  expect(await notes()).toEqual(['frozen']);
  // What happens between two waits is files and calls: time passes until it is done.
  await waitFor(
    'it to be thawed',
    async () => {
      await clock.advance(1_000);
      return notes();
    },
    (left) => left.length === 0,
    10_000,
    1,
  );
  expect(driver.said).toEqual(['freeze d', 'thaw d', 'thaw d', 'thaw d']);
});

test('a freeze ends what is still owed to an earlier one, and is not undone by it', async () => {
  driver.thawFailures.push(away());
  await guests.freeze('crm/db', 'd');
  await guests.thaw('crm/db', 'd');
  expect(await guests.freeze('crm/db', 'd')).toBeNull();
  await clock.advance(60_000);
  expect(driver.said).toEqual(['freeze d', 'thaw d', 'thaw d', 'freeze d']);
  expect(await notes()).toEqual(['frozen']);
});

test('a guest whose domain is gone is frozen no more', async () => {
  await writeFile(join(folder, 'frozen'), '');
  driver.thawFailures.push(new WeftError('not-found', 'libvirt has no domain d'));
  await guests.thaw('crm/db', 'd');
  expect(await notes()).toEqual([]);
});
