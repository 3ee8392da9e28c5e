import { readFile } from 'node:fs/promises';
import { exec } from '../../agent/kit/exec.ts';
import { REPOSITORY } from '../lab/layout.ts';

const MINUTE_MS = 60_000;
/** As in the Vagrantfile. */
export const PREFIX = 'weft-vagrant-';
export const OUTER_ADDRESS = '192.168.150.1';

/** Runs `vagrant` on the machines of the Vagrantfile. */
export async function vagrant(args: readonly string[], onLine?: (line: string) => void): Promise<string> {
  const { stdout } = await exec('vagrant', args, {
    cwd: REPOSITORY,
    timeoutMs: 60 * MINUTE_MS,
    ...(onLine ? { onLine } : {}),
  });
  return stdout;
}

/** Runs a shell line as root on a machine. */
export const on = async (machine: string, line: string): Promise<string> =>
  (
    await exec('vagrant', ['ssh', machine, '-c', `sudo sh -c ${quoted(line)}`], {
      cwd: REPOSITORY,
      timeoutMs: 5 * MINUTE_MS,
    })
  ).stdout;

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Ends the QEMU that is a machine, as a power cut does: whatever it had not flushed is gone. */
export async function killQemuOf(machine: string): Promise<void> {
  const pid = Number(await readFile(`/run/libvirt/qemu/${PREFIX}${machine}.pid`, 'utf8'));
  if (!Number.isInteger(pid) || pid < 2) throw new Error(`no pid of ${machine}`);
  process.kill(pid, 'SIGKILL');
}

export async function stateOf(machine: string): Promise<string> {
  const { stdout } = await exec('virsh', ['-c', 'qemu:///system', 'domstate', `${PREFIX}${machine}`], {
    timeoutMs: MINUTE_MS,
  });
  return stdout.trim();
}
