import { closeSync, constants, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { entriesOf } from '../kit/processes.ts';

/** What sysfs says of a watchdog: https://docs.kernel.org/ABI/testing/sysfs-class-watchdog */
export interface WatchdogFacts {
  readonly timeoutMs: number;
  readonly identity: string;
  /** It goes on counting when who feeds it dies: once started it never stops, or only by the magic close. */
  readonly outlivesFeeder: boolean;
  /** Closing it in good order does not stop it either. */
  readonly neverStops: boolean;
}

const CLASS = '/sys/class/watchdog';
/** `/dev/watchdog` is another name of the first one; its own major and minor are those of a misc device. */
const FIRST = { rdev: (10 << 8) | 130, name: 'watchdog0' };
/** Bit of `options`: without it, or `nowayout`, the kernel disarms the device when its feeder is killed. */
const MAGIC_CLOSE = 0x0100;
const SOFTWARE = /software watchdog/i;

/** @returns null when the device has no entry in sysfs. @param classFolder another one in tests. */
export function readWatchdogFacts(device: string, classFolder = CLASS): WatchdogFacts | null {
  const name = nameOf(device, classFolder);
  if (name === null) return null;
  const read = (attribute: string) => readText(join(classFolder, name, attribute));
  const timeoutMs = Number(read('timeout')) * 1000;
  if (!(timeoutMs > 0)) return null;
  const neverStops = read('nowayout') === '1';
  return {
    timeoutMs,
    identity: read('identity') || 'a watchdog without a name',
    outlivesFeeder: neverStops || (Number(read('options')) & MAGIC_CLOSE) !== 0,
    neverStops,
  };
}

function nameOf(device: string, classFolder: string): string | null {
  const { rdev } = statSync(device);
  // A file that stands for a device has no number, and is the first of a class folder that stands for sysfs.
  if (rdev === FIRST.rdev || (rdev === 0 && classFolder !== CLASS)) return FIRST.name;
  // Numbers of character devices here are small: 12 bits of major, 8 of minor.
  const number = `${(rdev >> 8) & 0xfff}:${rdev & 0xff}`;
  return entriesOf(classFolder).find((entry) => readText(join(classFolder, entry, 'dev')) === number) ?? null;
}

/** Why the timeout of this device proves nothing to anybody else; null: it does. */
export function whyNotDependable(facts: WatchdogFacts | null, isVirtualMachine: boolean): string | null {
  if (facts === null) return 'sysfs does not know it, nor its timeout';
  if (SOFTWARE.test(facts.identity))
    return 'it is a timer of the kernel: it does not reset a host whose kernel hangs';
  if (!facts.outlivesFeeder)
    return 'the kernel may disarm it when the guard dies: load its driver with nowayout=1';
  if (isVirtualMachine)
    return 'this host is a virtual machine: paused as a whole, its watchdog is paused with it';
  return null;
}

export const isVirtualMachine = (cpuinfo = '/proc/cpuinfo'): boolean =>
  /^flags\s*:.* hypervisor( |$)/m.test(readText(cpuinfo));

/** The open device. Opening arms it; ending the process, or losing this object, does not disarm it. */
export class Watchdog {
  readonly #fd: number;

  /** @throws what the system says, such as EBUSY when another program feeds it. */
  constructor(device: string) {
    // Never made, and never waited for. A file that stands for a device keeps all that was ever written.
    this.#fd = openSync(device, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_APPEND);
  }

  feed(): void {
    writeSync(this.#fd, '.');
  }

  /** The magic close: https://docs.kernel.org/watchdog/watchdog-api.html */
  disarm(): void {
    writeSync(this.#fd, 'V');
    closeSync(this.#fd);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
