import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WeftError } from '../../agent/kit/errors.ts';
import { Lab } from '../lab/lab.ts';
import { packFolder } from '../support/package.ts';
import { waitFor } from '../support/wait-for.ts';
import { type PsRow, Weft } from '../support/weft.ts';
import { Story } from './story.ts';

const APPLICATION = join(import.meta.dirname, 'application');
const story = new Story();

/** Runs a command on the terminal and stops the demo if it fails. */
async function show(weft: Weft, ...args: string[]): Promise<void> {
  story.command(args);
  const code = await weft.show(args);
  if (code !== 0) throw new WeftError('command-failed', `weft ${args[0]} ended with exit code ${code}`);
}

async function guest(weft: Weft, id: string, command: string): Promise<string> {
  story.command(['ssh', id, '--', command]);
  const output = (await weft.ok(['ssh', id, '--', command])).trimEnd();
  story.say(output);
  return output;
}

const instances = (rows: readonly PsRow[]) => rows.filter((row) => row.role !== null);

function one(rows: readonly PsRow[], id: string): PsRow {
  const row = rows.find((each) => each.id === id);
  if (!row) throw new WeftError('not-found', `weft ps does not know ${id}`);
  return row;
}

async function tell(lab: Lab, work: string): Promise<void> {
  const weft = new Weft(lab.layout.clientConfig);
  await story.chapter('Build the golden images (cached after the first time)', async () => {
    await show(weft, 'image', 'build', 'tiny');
    await show(weft, 'image', 'build', 'debian');
    await show(weft, 'image', 'ls');
  });

  const model = join(work, 'weft.yaml');
  await story.chapter('Apply the application: six VMs on tiny, one on Debian', async () => {
    await cp(APPLICATION, work, { recursive: true });
    await packFolder(APPLICATION, join(work, 'shop.tar.gz'));
    await show(weft, 'plan', '-f', model);
    await show(weft, 'apply', '-f', model, '--wait', '--timeout', '10m');
    await show(weft, 'ps');
    await show(weft, 'timeline', 'shop/web-0');
    await show(weft, 'timeline', 'shop/portal-0');
  });

  const machine = one(await weft.ps('shop'), 'shop/db');
  const home = String(machine.host);
  const marked = await story.chapter(
    'Leave a mark in the machine and in the instances beside it',
    async () => {
      await guest(weft, 'shop/db', 'echo "kept since the first boot" > /root/mark && sync && cat /root/mark');
      const beside = instances(await weft.ps('shop')).filter((row) => row.host === home);
      for (const row of beside)
        await guest(weft, row.id, 'echo "written in this incarnation" > /root/mark && cat /root/mark');
      return beside;
    },
  );

  await story.chapter(`Power off ${home}: its instances reappear elsewhere, its machine waits`, async () => {
    story.say(`\n$ npm run lab -- power-off ${home}`);
    const faultMs = Date.now();
    await lab.powerOff(home);
    await waitFor(
      'every instance to be ready on another host',
      () => weft.ps('shop'),
      (rows) =>
        instances(rows).every((row) => row.state === 'ready' && row.host !== home) &&
        one(rows, 'shop/db').state === 'unknown',
      600_000,
    );
    story.say(
      `\nhealed ${marked.length} instances, ${((Date.now() - faultMs) / 1000).toFixed(1)} s after the power-off`,
    );
    await show(weft, 'ps');
    await show(weft, 'why', 'shop/db');
    for (const row of marked)
      await guest(weft, row.id, 'cat /root/mark 2>/dev/null || echo "fresh: no mark here"');
  });

  await story.chapter(`Power ${home} on again: the machine is back with its data`, async () => {
    story.say(`\n$ npm run lab -- power-on ${home}`);
    await lab.powerOn(home);
    await waitFor(
      'the machine to be ready again',
      () => weft.ps('shop'),
      (rows) => one(rows, 'shop/db').state === 'ready',
      300_000,
    );
    const mark = await guest(weft, 'shop/db', 'cat /root/mark');
    if (mark !== 'kept since the first boot') throw new WeftError('internal', 'the machine lost its data');
    await show(weft, 'ps');
  });

  await story.chapter('Scale, look back, delete', async () => {
    await show(weft, 'scale', 'shop/reports=4', '--wait');
    await show(weft, 'scale', 'shop/reports=2', '--wait');
    await show(weft, 'events');
    await show(weft, 'delete', 'shop', '--wait');
    await show(weft, 'ps');
  });
}

const name = 'demo';
const work = await mkdtemp(join(tmpdir(), 'weft-demo-'));
let lab: Lab | null = null;
const clean = async () => {
  await new Lab(name).down();
  await rm(work, { recursive: true, force: true });
};
const interrupted = () => {
  story.say('\ninterrupted: taking the lab down');
  void clean().finally(() => process.exit(1));
};
process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
try {
  lab = await story.chapter('Bring up three hosts, each with its own libvirtd and agent', () =>
    Lab.up({ name, hosts: 3, say: (line) => story.say(line) }),
  );
  await tell(lab, work);
} catch (thrown) {
  const error = WeftError.from(thrown);
  story.say(`\ndemo: ${error.message}${error.remedy ? `\n  ${error.remedy}` : ''}`);
  process.exitCode = 1;
} finally {
  await story.chapter('Clean up', clean);
}
story.close();
