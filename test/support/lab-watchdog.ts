import { mkdir, open, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Lab, WATCHDOG_CLASS } from '../lab/lab.ts';

/** In the host. */
export const WATCHDOG_DEVICE = '/var/lib/weft/watchdog';
const LOOK_MS = 250;

/**
 * A hardware watchdog for a lab host, beside it as a BMC is: when its device was written to, and then was not for the timeout,
 * it pulls the host's plug. The magic close disarms it.
 */
export class LabWatchdog {
  readonly #lab: Lab;
  readonly #host: string;
  readonly #timeoutMs: number;
  #timer: NodeJS.Timeout | null = null;
  #size = 0;
  /** Null: not armed. */
  #fedAtMs: number | null = null;
  resets = 0;

  constructor(lab: Lab, host: string, timeoutMs: number) {
    this.#lab = lab;
    this.#host = host;
    this.#timeoutMs = timeoutMs;
  }

  async plugIn(): Promise<void> {
    const facts = {
      timeout: this.#timeoutMs / 1000,
      identity: 'lab watchdog',
      nowayout: 0,
      options: '0x8180',
    };
    const folder = this.#path(`${WATCHDOG_CLASS}/watchdog0`);
    await mkdir(folder, { recursive: true });
    for (const [name, value] of Object.entries(facts)) await writeFile(join(folder, name), `${value}\n`);
    await writeFile(this.#path(WATCHDOG_DEVICE), '');
    this.#later();
  }

  unplug(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #path(inHost: string): string {
    return join(this.#lab.layout.folder, this.#host, inHost);
  }

  #later(): void {
    this.#timer = setTimeout(() => {
      void this.#look().finally(() => {
        if (this.#timer) this.#later();
      });
    }, LOOK_MS);
  }

  async #look(): Promise<void> {
    const device = this.#path(WATCHDOG_DEVICE);
    const { size } = await stat(device);
    if (size > this.#size) {
      this.#size = size;
      this.#fedAtMs = (await lastByteOf(device, size)) === 'V' ? null : Date.now();
    }
    if (this.#fedAtMs === null || Date.now() - this.#fedAtMs < this.#timeoutMs) return;
    this.#fedAtMs = null;
    this.resets++;
    await this.#lab.powerOff(this.#host);
  }
}

async function lastByteOf(path: string, size: number): Promise<string> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer.toString('latin1');
  } finally {
    await file.close();
  }
}
