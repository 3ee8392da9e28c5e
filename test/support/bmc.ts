import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { exec } from '../../agent/kit/exec.ts';
import type { FenceDevice } from '../../agent/protocol/index.ts';
import { killAndWait, recordProcess } from '../lab/processes.ts';
import type { ProcessRecord } from '../lab/state.ts';
import { waitFor } from './wait-for.ts';

export interface BmcOptions {
  /** Its own: configuration, pid file, log. A BMC left behind there is ended first. No blanks in its path. */
  readonly folder: string;
  readonly address: string;
  /** UDP. */
  readonly port: number;
  /** Absolute path of a program: called with `status` it prints `on` or `off`; with `off`, `on` or `reset` it does that. */
  readonly powerScript: string;
  /** Name of the controller's secret that the device is to have the password from. Default: `bmc`. */
  readonly secret?: string;
  /** Goes on when this process ends; it is to be ended by its record. Default: it dies with this process. */
  readonly outlives?: boolean;
  /** More of its environment: a mark by which it is found. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Bmc {
  /** For a host's configuration. */
  readonly device: FenceDevice;
  /** For the controller's secret. */
  readonly password: string;
  readonly process: ProcessRecord;
  /** Dead from one moment to the other, as without power. */
  stop(): Promise<void>;
}

const USER = 'admin';
const IPMI_PASSWORD_BYTES = 8;

/** A simulated BMC (`ipmi_sim` of OpenIPMI) that speaks IPMI 2.0 over LAN. Answers when this resolves. */
export async function startBmc(options: BmcOptions): Promise<Bmc> {
  const { folder, address, port } = options;
  if (!/^\/[\w./-]+$/.test(folder) || !isAbsolute(options.powerScript))
    throw new Error(`a BMC needs absolute paths, and a folder without blanks: ${folder}`);
  await mkdir(join(folder, 'state'), { recursive: true });
  await endLeftBehind(folder);
  const password = randomBytes(IPMI_PASSWORD_BYTES).toString('hex');
  const chassis = join(folder, 'chassis.sh');
  await Promise.all([
    writeFile(chassis, CHASSIS_SCRIPT, { mode: 0o755 }),
    writeFile(join(folder, 'power-script'), options.powerScript),
    writeFile(join(folder, 'password'), password, { mode: 0o600 }),
    writeFile(join(folder, 'lan.conf'), lanConfiguration(address, port, chassis, password), { mode: 0o600 }),
    writeFile(join(folder, 'bmc.emu'), EMULATOR_COMMANDS),
  ]);
  const child = start(options);
  const record = recordProcess(child.pid ?? 0);
  await writeFile(join(folder, 'pid'), JSON.stringify(record));
  const bmc: Bmc = {
    device: {
      agent: 'fence_ipmilan',
      options: {
        ...{ ip: address, ipport: String(port), username: USER },
        // Without the cipher suite named, ipmitool first asks for what there is, which this BMC never answers. Nothing to wait for: the script has done it.
        ...{ lanplus: '1', cipher: '3', power_wait: '0' },
      },
      secret: options.secret ?? 'bmc',
    },
    password,
    process: record,
    stop: () => killAndWait(record),
  };
  try {
    await waitFor('the BMC to answer', () => answers(options, child), Boolean, 20_000, 50);
  } catch (error) {
    await bmc.stop();
    throw error;
  }
  return bmc;
}

function start({ folder, outlives = false, environment = {} }: BmcOptions): ChildProcess {
  const ipmi = [
    '-n',
    '-c',
    join(folder, 'lan.conf'),
    '-f',
    join(folder, 'bmc.emu'),
    '-s',
    join(folder, 'state'),
  ];
  const command = outlives ? ['ipmi_sim', ...ipmi] : ['setpriv', '--pdeathsig', 'KILL', 'ipmi_sim', ...ipmi];
  const log = openSync(join(folder, 'log'), 'a');
  const [file = '', ...args] = command;
  const child = spawn(file, args, {
    detached: outlives,
    stdio: ['ignore', log, log],
    cwd: folder,
    env: { ...process.env, ...environment },
  });
  closeSync(log);
  child.on('error', () => undefined);
  child.unref();
  return child;
}

async function endLeftBehind(folder: string): Promise<void> {
  const text = await readFile(join(folder, 'pid'), 'utf8').catch(() => null);
  if (text !== null) await killAndWait(JSON.parse(text) as ProcessRecord);
  await rm(join(folder, 'pid'), { force: true });
}

async function answers({ folder, address, port }: BmcOptions, child: ChildProcess): Promise<boolean> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null)
    throw new Error(`ipmi_sim ended: ${await readFile(join(folder, 'log'), 'utf8')}`);
  const who = ['-I', 'lanplus', '-C', '3', '-H', address, '-p', String(port), '-U', USER];
  const password = ['-f', join(folder, 'password')];
  return exec('ipmitool', [...who, ...password, '-N', '1', '-R', '1', 'chassis', 'power', 'status'], {
    timeoutMs: 5_000,
  }).then(
    () => true,
    () => false,
  );
}

/** Called by ipmi_sim as `chassis.sh MC get power` (answers `power:1`) and `chassis.sh MC set power 0`: ipmi_lan(5). */
const CHASSIS_SCRIPT = `#!/bin/sh
script=$(cat "\${0%/*}/power-script") || exit 1
verb=$2
shift 2
if [ "$verb" = get ]; then
  for name in "$@"; do
    value=0
    [ "$name" = power ] && [ "$("$script" status)" = on ] && value=1
    echo "$name:$value"
  done
  exit 0
fi
while [ $# -ge 2 ]; do
  case $1:$2 in
    power:0) "$script" off || exit 1 ;;
    power:1) "$script" on || exit 1 ;;
    reset:*) "$script" reset || exit 1 ;;
  esac
  shift 2
done
`;

const EMULATOR_COMMANDS = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`;

const AUTHENTICATION = 'none md2 md5 straight';

const lanConfiguration = (address: string, port: number, chassis: string, password: string) => `name "bmc"
set_working_mc 0x20
  startlan 1
    addr ${address} ${port}
    priv_limit admin
    allowed_auths_callback ${AUTHENTICATION}
    allowed_auths_user ${AUTHENTICATION}
    allowed_auths_operator ${AUTHENTICATION}
    allowed_auths_admin ${AUTHENTICATION}
    guid ${randomBytes(16).toString('hex')}
  endlan
  chassis_control "${chassis} 0x20"
  user 1 true "" "${randomBytes(IPMI_PASSWORD_BYTES).toString('hex')}" user 10 ${AUTHENTICATION}
  user 2 true "${USER}" "${password}" admin 10 ${AUTHENTICATION}
`;
