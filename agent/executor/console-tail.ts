import { open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';

const TAIL_BYTES = 16_000;
const LOOK_EVERY_MS = 20;
/** So long nothing more has come: that was all. */
const QUIET_MS = 100;
const LIMIT_MS = 1_000;

/** The last lines of a serial console's log; null when there is none. */
export async function readConsoleTail(path: string, bytes = TAIL_BYTES): Promise<string | null> {
  const file = await open(path, 'r').catch(() => null);
  if (!file) return null;
  try {
    const { size } = await file.stat();
    const length = Math.min(size, bytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    const text = printable(buffer.subarray(0, bytesRead).toString('utf8')).trim();
    return text === '' ? null : text.slice(-TAIL_BYTES);
  } finally {
    await file.close();
  }
}

/**
 * The same of a guest whose end has just been told. QEMU hands its console to virtlogd through a pipe, and virtlogd may not have written the
 * last of it yet, which is what says why it ended.
 */
export async function readLastOfConsole(path: string): Promise<string | null> {
  let size = await sizeOf(path);
  let quietMs = 0;
  for (
    let waitedMs = 0;
    size !== null && quietMs < QUIET_MS && waitedMs < LIMIT_MS;
    waitedMs += LOOK_EVERY_MS
  ) {
    await sleep(LOOK_EVERY_MS);
    const now = await sizeOf(path);
    quietMs = now === size ? quietMs + LOOK_EVERY_MS : 0;
    size = now;
  }
  return readConsoleTail(path);
}

const sizeOf = (path: string): Promise<number | null> =>
  stat(path).then(
    ({ size }) => size,
    () => null,
  );

/** Without terminal sequences and control characters, newline and tab apart: console output is a guest's word. */
const printable = (text: string) =>
  stripVTControlCharacters(text).replace(/\p{Cc}/gu, (character) =>
    character === '\n' || character === '\t' ? character : '',
  );
