import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { entriesOf, isAlive, PROC, startTicksOf, statOf } from '../kit/processes.ts';
import { type MachinesNote, RBD_PREFIX } from './notes.ts';

/** A QEMU that has a machine's disk on a shared pool open. */
export interface MachineProcess {
  readonly pid: number;
  readonly startTicks: string;
  /** Its domain; empty: it says nothing of itself. It is ending and may have been one, or it is a program that has only just begun. */
  readonly name: string;
}

const PROGRAM = /^(qemu|kvm)/;
/** Of a process's flags in its stat file: the kernel's own, of which some are called kvm too. Linux, include/linux/sched.h. */
const PF_KTHREAD = 0x0020_0000;
const FLAGS_FIELD = 6;

/**
 * The machines on shared pools that run, found by what runs and not by what libvirt says: the command line of a QEMU names its
 * domain, its UUID and its disks. A machine is one that is listed, or has the disk of one below a shared pool.
 */
export function findMachines(note: MachinesNote, proc = PROC): readonly MachineProcess[] {
  const prefix = `weft-${note.fleet.slice(0, 4)}-`;
  const disks = note.sharedPools.map(needlesOf);
  return entriesOf(proc).flatMap((entry): MachineProcess[] => {
    const pid = Number(entry);
    // The short name first: it can be read of a process that hangs, too.
    if (!Number.isInteger(pid) || !PROGRAM.test(read(join(proc, entry, 'comm')))) return [];
    const startTicks = startTicksOf(pid, proc);
    if (startTicks === null || !isAlive(pid, startTicks, proc)) return [];
    const line = read(join(proc, entry, 'cmdline'));
    // Its memory is gone, but a thread still waits for a disk; or it is one that never had a command line.
    if (line === '') return isOfKernel(join(proc, entry)) ? [] : [{ pid, startTicks, name: '' }];
    const args = line.split('\0');
    const name = /^guest=([^,]+)/.exec(argument(args, '-name'))?.[1];
    if (name === undefined || !name.startsWith(prefix)) return [];
    const uuid = argument(args, '-uuid');
    const isMachine =
      note.machines.some((machine) => machine.name === name && machine.uuid === uuid) ||
      args.some((each) => disks.some((needles) => needles.every((needle) => each.includes(needle))));
    return isMachine ? [{ pid, startTicks, name }] : [];
  });
}

const isOfKernel = (process: string): boolean =>
  (Number(statOf(join(process, 'stat'))?.[FLAGS_FIELD]) & PF_KTHREAD) !== 0;

/** What the argument holds by which a QEMU was told of a machine's disk in this pool. */
function needlesOf(pool: string): readonly string[] {
  if (!pool.startsWith(RBD_PREFIX)) return [`${pool.replace(/\/+$/, '')}/machines/`];
  return ['"driver":"rbd"', `"pool":"${pool.slice(RBD_PREFIX.length)}"`, '"image":"machine.'];
}

/** Pulls the plug of one. That the pid is still that process's was seen a moment ago; pids are not used again so soon. */
export function kill({ pid, startTicks }: MachineProcess): void {
  try {
    if (startTicksOf(pid) === startTicks) process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile. Whether it has is looked at, not believed.
  }
}

const argument = (args: readonly string[], option: string): string => args[args.indexOf(option) + 1] ?? '';

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
