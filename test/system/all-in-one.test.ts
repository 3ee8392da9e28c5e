import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../lab/lab.ts';
import { REPOSITORY } from '../lab/layout.ts';
import { Background } from '../support/background.ts';
import { TINY } from '../support/golden-lab.ts';
import { isReady, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { leftoversOn } from '../support/leftovers.ts';
import { waitFor } from '../support/wait-for.ts';
import { Weft } from '../support/weft.ts';

/** `npm start` on one host and an agent that joins it on another: hosts with a libvirt of their own and nothing of Weft yet. */
const NODE = [process.execPath, '--import', join(REPOSITORY, 'node_modules/tsx/dist/esm/index.mjs')];
const START = [...NODE, join(REPOSITORY, 'controller/all-in-one.ts')];
const AGENT = [...NODE, join(REPOSITORY, 'agent/main.ts')];
const HOME = '/var/lib/weft/home';
const MODEL = `apiVersion: weft/v1
kind: Application
name: crm
roles:
  web: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 2}
`;

let lab: Lab;
let folder: string;
beforeAll(async () => {
  lab = await Lab.up({ name: 'allinone', hosts: 2, bare: true });
  folder = await mkdtemp(join(tmpdir(), 'weft-system-'));
}, 120_000);
afterAll(async () => {
  await lab?.down();
  if (folder) await rm(folder, { recursive: true, force: true });
}, 60_000);

test('without a running libvirt it says so, and what to do', async () => {
  const hidden = 'mount -t tmpfs tmpfs /run/libvirt && exec "$@"';
  const { exitCode, stderr } = await lab.exec(
    'h1',
    ['unshare', '--mount', 'sh', '-c', hidden, 'sh', ...START],
    {
      okExitCodes: [0, 1],
      timeoutMs: 60_000,
    },
  );
  expect(exitCode).toBe(1);
  expect(stderr).toContain('libvirt does not run on this host');
  expect(stderr).toContain('systemctl start libvirtd');
});

test('one command runs VMs, another host joins, Ctrl-C stops Weft but no VM, and the next start takes them up', async () => {
  const { address } = await lab.host('h1');
  await writeFile(
    join(lab.layout.folder, 'h1/etc/weft/agent.yaml'),
    'guard: {enabled: true, watchdog: none}\n',
  );
  const start = () => Background.start(lab, 'h1', [...START, '--address', address], { HOME });
  let weftd = await start();
  await weftd.says('weft: ready.');
  const weft = new Weft(join(lab.layout.folder, 'h1', HOME, '.config/weft/config.yaml'));
  const [host] = await weft.hosts();
  expect(host?.name).toBe('h1');
  expect(weftd.output.includes('h1: no KVM')).toBe(host?.accelerator === 'tcg');
  const guardNotes = async () =>
    (await weft.hosts()).flatMap(({ notes }) => notes.filter((note) => note.startsWith('guard:')));
  const untilGuarded = () =>
    waitFor('the guard that the configuration turns on', guardNotes, (notes) =>
      notes.some((note) => note.includes('without a watchdog')),
    );
  await untilGuarded();

  const again = await lab.exec('h1', [...START, '--address', address], {
    okExitCodes: [0, 1],
    timeoutMs: 60_000,
  });
  expect(again.exitCode).toBe(1);
  expect(again.stderr).toContain(`something listens at ${address}:7700 already`);

  const tokenFile = join(lab.layout.folder, 'h2/etc/weft/join-token');
  await writeFile(tokenFile, await weft.ok(['host', 'token']), { mode: 0o600 });
  await Background.start(lab, 'h2', [...AGENT, '--join-file', '/etc/weft/join-token']);
  await waitFor(
    'h2 to be up',
    () => weft.hosts(),
    (hosts) => hosts.some(({ name, state }) => name === 'h2' && state === 'up'),
  );

  await weft.ok(['image', 'build', 'tiny'], { timeoutMs: 900_000 });
  const model = join(folder, 'weft.yaml');
  await writeFile(model, MODEL);
  await weft.ok(['apply', '-f', model, '--wait'], { timeoutMs: 400_000 });
  const rows = await weft.ps('crm');
  expect(rows.map((row) => row.host).sort()).toEqual(['h1', 'h2']);
  expect(await weft.ok(['console', 'crm/web-0', '--log'])).toContain('BusyBox');

  expect(await weftd.interrupt()).toBe(0);
  expect(weftd.output).toContain('VMs that were running go on');
  expect((await lab.exec('h1', ['pgrep', '-f', 'agent/guard/main'], { okExitCodes: [0, 1] })).stdout).toBe(
    '',
  );
  for (const name of ['h1', 'h2']) expect((await leftoversOn(lab, name)).qemus).toHaveLength(1);
  const away = await weft.run(['ps']);
  expect(away.exitCode).toBe(1);
  expect(away.stderr).toContain(`cannot reach the controller at https://${address}:7700`);

  weftd = await start();
  await weftd.says('weft: ready.');
  const taken = await waitFor(
    'both to be ready again',
    () => weft.ps('crm'),
    (found) => found.length === 2 && found.every(isReady),
  );
  await untilGuarded();
  expect(taken.map((row) => row.incarnation)).toEqual(rows.map((row) => row.incarnation));
  await weft.ok(['delete', 'crm', '--wait']);
  await waitUntilNothingIsLeft({ lab });
  expect(await weftd.interrupt()).toBe(0);
});
