import { readFileSync } from 'node:fs';

/**
 * Milliseconds since this host's boot, the time that it was suspended included; nobody can set it. It is the kernel's
 * CLOCK_BOOTTIME, which Node gives by no other way, in steps of 10 ms.
 */
export const bootTimeMs = (): number =>
  Math.round(Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000);

/** Another one after every boot: boot times of different boots cannot be compared. */
export const readBootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
