import { open } from 'node:fs/promises';
import { stripVTControlCharacters } from 'node:util';

const TAIL_BYTES = 16_000;

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

/** Without terminal sequences and control characters, newline and tab apart: console output is a guest's word. */
const printable = (text: string) =>
  stripVTControlCharacters(text).replace(/\p{Cc}/gu, (character) =>
    character === '\n' || character === '\t' ? character : '',
  );
