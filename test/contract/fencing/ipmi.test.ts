import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../agent/kit/clock.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import { FenceAgents } from '../../../controller/fencing/fence-agent.ts';
import { DeviceFencer } from '../../../controller/fencing/fencer.ts';
import type { FencingRecord } from '../../../controller/model/index.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { isAlive, recordProcess } from '../../lab/processes.ts';
import type { ProcessRecord } from '../../lab/state.ts';
import { type Bmc, startBmc } from '../../support/bmc.ts';
import { aHost } from '../../support/builders/host.ts';
import { refusal } from '../../support/refusal.ts';
import { waitFor } from '../../support/wait-for.ts';

const LIMIT_MS = 5_000;

let folder: string;
let host: ChildProcess;
let hostProcess: ProcessRecord;
let port: number;
let bmc: Bmc;
let agents: FenceAgents;
const signal = AbortSignal.timeout(600_000);

/** A host is a process here: with power it runs, and without it does not. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-ipmi-'));
  host = spawn('setpriv', ['--pdeathsig', 'KILL', 'sleep', '600'], { stdio: 'ignore' });
  hostProcess = recordProcess(host.pid ?? 0);
  const state = `$(sed 's/.*) //; s/ .*//' /proc/${host.pid}/stat 2>/dev/null)`;
  await writeFile(
    join(folder, 'power.sh'),
    `#!/bin/bash
case $1 in
  status) case ${state} in ''|Z|X) echo off ;; *) echo on ;; esac ;;
  off) kill -9 ${host.pid} ;;
  *) exit 1 ;;
esac
`,
    { mode: 0o755 },
  );
  port = await freeUdpPort();
  bmc = await aBmc();
  await mkdir(join(folder, 'secrets'));
  await secret(bmc.password);
  agents = new FenceAgents({ secretsFolder: join(folder, 'secrets'), limitMs: LIMIT_MS });
});
afterEach(async () => {
  host.kill('SIGKILL');
  await bmc.stop();
  await rm(folder, { recursive: true, force: true });
});

const aBmc = () =>
  startBmc({
    folder: join(folder, 'bmc'),
    address: '127.0.0.1',
    port,
    powerScript: join(folder, 'power.sh'),
  });
const secret = (password: string) =>
  writeFile(join(folder, 'secrets', 'bmc'), `${password}\n`, { mode: 0o600 });
const programsOf = async (text: string): Promise<readonly string[]> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes(text));
};

describe('fence_ipmilan and a BMC', () => {
  test('on; off, and the host is dead; off; and off again is no failure', async () => {
    expect(await agents.status(bmc.device, signal)).toEqual({ power: 'on', message: 'Status: ON' });
    expect(isAlive(hostProcess)).toBe(true);
    expect(await agents.off(bmc.device, signal)).toBe('Success: Powered OFF');
    expect(isAlive(hostProcess)).toBe(false);
    expect(await agents.status(bmc.device, signal)).toEqual({ power: 'off', message: 'Status: OFF' });
    expect(await agents.off(bmc.device, signal)).toBe('Success: Already OFF');
  });

  test('a wrong password fails and says where to look, without the password', async () => {
    await secret('not-the-password');
    const work = [agents.off(bmc.device, signal), agents.status(bmc.device, signal)];
    for (const error of await Promise.all(work.map(refusal))) {
      expect(error.code).toBe('command-failed');
      expect(error.message).toBe(
        'Unable to obtain correct plug status or plug is not available: look at its address, user name, password and plug (exit 1)',
      );
    }
    expect(isAlive(hostProcess)).toBe(true);
  });

  test('a dead BMC fails within the limit, and no program is left behind', async () => {
    await bmc.stop();
    const startedMs = performance.now();
    const error = await refusal(agents.off(bmc.device, signal));
    expect(performance.now() - startedMs).toBeLessThan(LIMIT_MS + 30_000);
    expect(error.code).toBe('timeout');
    expect(error.message).toBe('it did not end within 5 s');
    expect(isAlive(hostProcess)).toBe(true);
    await waitFor(
      'no ipmitool',
      () => programsOf(`-p\0${port}`),
      ({ length }) => length === 0,
      30_000,
      50,
    );
  });

  test('a power-off that does nothing is no proof', async () => {
    await writeFile(join(folder, 'power.sh'), '#!/bin/bash\n[ "$1" = status ] && echo on; exit 0\n');
    const device = { ...bmc.device, options: { ...bmc.device.options, power_timeout: '2' } };
    await refusal(agents.off(device, signal));
    expect(isAlive(hostProcess)).toBe(true);
  });
});

test('the fencer proves the death of a host by its second device when the first is dead', async () => {
  const store = new MemoryStore();
  await store.transact({
    puts: [{ key: 'hosts/h1', value: aHost('h1', {}, { state: 'down', stateSinceMs: 7 }) }],
  });
  const fencer = new DeviceFencer({
    store,
    runner: new FenceAgents({ secretsFolder: join(folder, 'secrets'), limitMs: 2_000 }),
    clock: systemClock,
    log: createLogger('fencer', 'silent'),
  });
  const dead = { ...bmc.device, options: { ...bmc.device.options, ipport: String(await freeUdpPort()) } };
  try {
    fencer.want([{ host: 'h1', downSinceMs: 7, devices: [dead, bmc.device] }]);
    const record = await waitFor(
      'a proof',
      async () => (await store.get('fencing/h1'))?.value as FencingRecord | undefined,
      (found) => found?.proof != null,
      20_000,
      50,
    );
    expect(isAlive(hostProcess)).toBe(false);
    expect(record?.attempts.map(({ device, off }) => [device, off])).toEqual([
      ['fence_ipmilan (1 of 2)', false],
      ['fence_ipmilan (2 of 2)', true],
    ]);
    expect(record?.proof?.detail).toBe('fence_ipmilan (2 of 2) says that it is off');
    expect(JSON.stringify(record)).not.toContain(bmc.password);
  } finally {
    await fencer.close();
  }
});

test('a BMC started again in its folder takes the place of one that was left behind', async () => {
  const before = bmc;
  bmc = await aBmc();
  expect(isAlive(before.process)).toBe(false);
  await secret(bmc.password);
  expect(await agents.status(bmc.device, signal)).toMatchObject({ power: 'on' });
});

function freeUdpPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4').once('error', reject);
    socket.bind(0, '127.0.0.1', () => {
      const { port: free } = socket.address();
      socket.close(() => resolve(free));
    });
  });
}
