import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { buildRecipe, DEFAULT_RECIPE_CACHE } from '../../images/recipes/build-recipe.ts';
import { tiny } from '../../images/recipes/tiny/recipe.ts';
import { isReady, rowOf } from '../support/hosts.ts';
import { DB, SHOP } from '../support/shop.ts';
import { waitFor } from '../support/wait-for.ts';
import { type PsRow, Weft } from '../support/weft.ts';
import { Writer } from '../support/writer.ts';
import { FenceDoor } from './fence-door.ts';
import { killQemuOf, on, stateOf, vagrant } from './machines.ts';

/** Machines may be emulated, and guests in them once more. */
const LIMIT_MS = 600_000;

interface Host {
  readonly name: string;
  readonly state: string;
  readonly accelerator: string;
  readonly notes: readonly string[];
  readonly proof: { readonly kind: string; readonly detail: string } | null;
}

let folder: string;
let weft: Weft;
let door: FenceDoor | null = null;
let writer: Writer | null = null;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-vagrant-'));
  const config = join(folder, 'config.yaml');
  await writeFile(config, await on('controller', 'cat /root/.config/weft/config.yaml'), { mode: 0o600 });
  weft = new Weft(config);
  door = await FenceDoor.open(await on('controller', 'cat /etc/weft/fence/key.pub'));
  await waitFor('all hosts to be up', hosts, (all) => all.every(({ state }) => state === 'up'), LIMIT_MS);
  await importTiny();
  const model = join(folder, 'weft.yaml');
  await writeFile(model, SHOP);
  await weft.ok(['apply', '-f', model, '--wait', '--timeout', '20m'], { timeoutMs: 1_260_000 });
});
/** One test's failure is not the next one's. */
afterEach(async () => {
  writer?.stop();
  for (const { name } of await hosts()) if ((await stateOf(name)) !== 'running') await vagrant(['up', name]);
  await waitFor('all hosts to be up', hosts, (all) => all.every(({ state }) => state === 'up'), LIMIT_MS);
});
afterAll(async () => {
  await weft.run(['delete', 'shop', '--wait'], { timeoutMs: LIMIT_MS });
  await door?.close();
  await rm(folder, { recursive: true, force: true });
});

const hosts = () => weft.json<Host[]>(['host', 'ls']);
const ps = () => weft.ps('shop');
const workersOf = (rows: readonly PsRow[]) => rows.filter(({ role }) => role === 'worker');

async function importTiny(): Promise<void> {
  const { disk, kernel, initrd, traits, version } = await buildRecipe(tiny, {
    cacheFolder: DEFAULT_RECIPE_CACHE,
    onLine: () => undefined,
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  const known = await weft.json<{ name: string; version: string }[]>(['image', 'ls']);
  if (known.some((image) => image.name === 'tiny' && image.version === version)) return;
  const boot = ['--kernel', kernel, '--initrd', initrd, '--cmdline', traits.commandLine];
  const identity = ['--name', 'tiny', '--version', version, '--channel', 'stable'];
  await weft.ok(
    [
      'image',
      'import',
      disk,
      ...identity,
      ...boot,
      '--ssh-user',
      traits.sshUser,
      '--web-server',
      traits.webServer,
    ],
    { timeoutMs: LIMIT_MS },
  );
}

/** Writes in the machine's guest, lets something happen to its host, and sees everything go on elsewhere, with the data. */
async function survives(happens: (host: string) => Promise<void>): Promise<void> {
  const before = await waitFor(
    'all to be ready',
    ps,
    (rows) => rows.length === 3 && rows.every(isReady),
    LIMIT_MS,
  );
  const home = String(rowOf(before, DB).host);
  const writing = new Writer(weft, DB);
  writer = writing;
  await waitFor(
    'ten acknowledged writes',
    async () => writing.acknowledged,
    (count) => count >= 10,
    LIMIT_MS,
  );
  await happens(home);
  const after = await waitFor(
    'all to be ready elsewhere',
    ps,
    (rows) => rows.every((row) => isReady(row) && row.host !== home),
    LIMIT_MS,
  );
  const { acknowledged } = writing;
  expect(workersOf(after)).toHaveLength(2);
  expect(rowOf(after, DB).incarnation).toBeGreaterThan(rowOf(before, DB).incarnation);
  expect((await hosts()).find(({ name }) => name === home)?.proof?.kind).toBe('fence-device');
  const log = (await weft.ok(['ssh', DB, '--', 'cat /root/log'])).trim().split('\n').map(Number);
  const own = log.slice(log.lastIndexOf(1));
  expect(own).toEqual(own.map((_number, index) => index + 1));
  expect(own.length).toBeGreaterThanOrEqual(acknowledged);
}

test('hosts confine each guest with AppArmor, and run none of them as root', async () => {
  const rows = await waitFor(
    'all to be ready',
    ps,
    (all) => all.length === 3 && all.every(isReady),
    LIMIT_MS,
  );
  for (const host of new Set(rows.map((row) => String(row.host)))) {
    const looked = await on(
      host,
      // libvirt ends the number with no line.
      'for file in /run/libvirt/qemu/weft-*.pid; do pid=$(cat "$file"); echo "$(stat -c %U /proc/$pid) $(cat /proc/$pid/attr/current)"; done',
    );
    const qemus = looked.trim().split('\n');
    expect(qemus).toHaveLength(rows.filter((row) => row.host === host).length);
    for (const qemu of qemus) expect(qemu.trim()).toMatch(/^libvirt-qemu libvirt-[0-9a-f-]{36} \(enforce\)$/);
  }
  for (const { notes } of await hosts()) expect(notes).toContain('AppArmor on');
});

test('a host that is switched off: instances heal, and the machine goes on with its data by the fence device’s word', async () => {
  await survives(async (host) => {
    await vagrant(['halt', '--force', host]);
  });
});

test('a host whose QEMU is killed, with all that it had not flushed: the same', async () => {
  await survives(killQemuOf);
});
