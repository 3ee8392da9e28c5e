import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import { unpackXz } from '../../../images/recipes/kernel/xz.ts';
import { refusal } from '../../support/refusal.ts';

const CONTENT = Buffer.from('the plain ELF of a kernel '.repeat(1_000));

let folder: string;
let packed: Buffer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-unit-xz-'));
  await writeFile(join(folder, 'x'), CONTENT);
  await exec('xz', [join(folder, 'x')]);
  packed = await readFile(join(folder, 'x.xz'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a stream is unpacked, whatever follows it', async () => {
  // As the kernel's build has it: the unpacked size, in four bytes.
  const size = Buffer.alloc(4);
  size.writeUInt32LE(CONTENT.length);
  expect((await unpackXz(Buffer.concat([packed, size]), CONTENT.length)).equals(CONTENT)).toBe(true);
});

test('one that is damaged, or unpacks to something else, is refused', async () => {
  expect((await refusal(unpackXz(packed, CONTENT.length + 1))).code).toBe('invalid-image');
  const damaged = Buffer.from(packed);
  damaged.fill(0, 40, 60);
  expect((await refusal(unpackXz(damaged, CONTENT.length))).code).toBe('command-failed');
});
