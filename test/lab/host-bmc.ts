import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FenceDevice } from '../../agent/protocol/index.ts';
import { startBmc } from '../support/bmc.ts';
import { controllerAddress, type Layout } from './layout.ts';
import { killAndWait } from './processes.ts';
import type { HostState, LabState, ProcessRecord } from './state.ts';

/** UDP, and the host's number. */
const FIRST_PORT = 6_230;

const folderOf = (layout: Layout, host: HostState) => join(layout.folder, `${host.name}.bmc`);
const powerFile = (layout: Layout, host: HostState) => join(folderOf(layout, host), 'host');

/** Gives a host a simulated BMC, out of its own network's way, and the controller its password. @returns the device for the host's configuration. */
export async function startHostBmc(layout: Layout, lab: LabState, host: HostState): Promise<FenceDevice> {
  const folder = folderOf(layout, host);
  await mkdir(folder, { recursive: true });
  const powerScript = join(folder, 'power.sh');
  await writeFile(powerScript, powerScriptOf(powerFile(layout, host)), { mode: 0o755 });
  const secret = `bmc-${host.name}`;
  const { device, password } = await startBmc({
    ...{ folder, powerScript, secret, outlives: true },
    address: controllerAddress(lab.number),
    port: FIRST_PORT + host.number,
    environment: { WEFT_LAB: layout.name },
  });
  const secrets = join(layout.controllerState, 'secrets', 'fence');
  await mkdir(secrets, { recursive: true, mode: 0o700 });
  await writeFile(join(secrets, secret), `${password}\n`, { mode: 0o600 });
  return device;
}

/** The BMC loses its own power. */
export async function stopHostBmc(layout: Layout, host: HostState): Promise<void> {
  const text = await readFile(join(folderOf(layout, host), 'pid'), 'utf8').catch(() => null);
  if (text !== null) await killAndWait(JSON.parse(text) as ProcessRecord);
}

/** Tells the host's BMC, if it has one, which process its power is. */
export async function noteHostPower(layout: Layout, host: HostState): Promise<void> {
  const { init } = host.power ?? {};
  if (!init) return;
  await mkdir(folderOf(layout, host), { recursive: true });
  await writeFile(powerFile(layout, host), `${init.pid} ${init.startTime}\n`);
}

/** With its first process, every other one of a host ends; it is a zombie, or gone, only when all have ended. */
const powerScriptOf = (file: string) => `#!/bin/bash
read -r pid started <'${file}' || exit 1
is_on() {
  local stat
  stat=$(cat "/proc/$pid/stat" 2>/dev/null) || return 1
  read -r -a fields <<<"\${stat##*) }"
  [ "\${fields[19]}" = "$started" ] && [ "\${fields[0]}" != Z ] && [ "\${fields[0]}" != X ]
}
case $1 in
  status) if is_on; then echo on; else echo off; fi ;;
  off)
    is_on && kill -9 "$pid"
    for _ in $(seq 200); do is_on || exit 0; sleep 0.02; done
    exit 1 ;;
  *) exit 1 ;;
esac
`;
