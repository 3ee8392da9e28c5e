// What the programs under stress share. They are plain JavaScript over the built package, as its users have it.
import { readdirSync, readFileSync } from 'node:fs';

export const testMachine = (name) =>
  `<domain type='test'><name>${name}</name><memory>1024</memory><os><type>hvm</type></os></domain>`;

/** After a full collection, where the process allows one. */
export function residentMiB() {
  globalThis.gc?.();
  return Math.round((process.memoryUsage.rss() / 2 ** 20) * 10) / 10;
}

/** Threads of the binding that live now. */
export function bindingThreads() {
  return readdirSync('/proc/self/task').filter((thread) => {
    try {
      return readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').startsWith('libvirt-worker');
    } catch {
      return false;
    }
  }).length;
}

export const report = (figures) => process.stdout.write(`${JSON.stringify(figures)}\n`);
