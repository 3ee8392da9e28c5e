import { readFile } from 'node:fs/promises';

/** Hundredths of a second (USER_HZ) since the host came up, of all its processors together. */
export interface CpuTimes {
  readonly busy: number;
  readonly all: number;
}

/** The first line of `/proc/stat`, see proc_stat(5). Time that guests have is in `user` and `nice` already; that somebody else has had in place of this host is busy. */
export function parseCpuTimes(stat: string): CpuTimes | null {
  const [label, ...fields] = (stat.split('\n')[0] ?? '').trim().split(/\s+/);
  const times = fields.slice(0, 8).map(Number);
  if (label !== 'cpu' || times.length < 4 || times.some((each) => !Number.isFinite(each))) return null;
  const [, , , idle = 0, ioWait = 0] = times;
  const all = times.reduce((sum, each) => sum + each, 0);
  return { busy: all - idle - ioWait, all };
}

/** Per cent of the time between two readings; what a processor waits for a disk may make the kernel's own sums go back a little. */
export function cpuPercent(before: CpuTimes, now: CpuTimes): number {
  const all = now.all - before.all;
  return all <= 0 ? 0 : Math.min(100, Math.max(0, (100 * (now.busy - before.busy)) / all));
}

/** How busy this host's processors are. systeminformation's own figure begins a shell for it, for which this process stands still. */
export class CpuShare {
  #before: CpuTimes = { busy: 0, all: 0 };

  /** @returns per cent since the last call; of the first one, since the host came up. */
  async look(): Promise<number> {
    const now = parseCpuTimes(await readFile('/proc/stat', 'utf8'));
    if (now === null) return 0;
    const percent = cpuPercent(this.#before, now);
    this.#before = now;
    return percent;
  }
}
