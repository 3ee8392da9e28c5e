import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type BlobSource, FileBlobCache } from '../../../agent/disks/file-blob-cache.ts';
import { systemClock } from '../../../agent/kit/clock.ts';
import { WeftError } from '../../../agent/kit/errors.ts';

const CONTENT = Buffer.from('0123456789'.repeat(1000));
const blob = {
  digest: `sha256:${createHash('sha256').update(CONTENT).digest('hex')}`,
  sizeBytes: CONTENT.length,
};

/** Serves the content; each opening may cut it short or spoil it first. */
class Source implements BlobSource {
  readonly openedAt: number[] = [];
  cutAfter: number[] = [];
  spoil = 0;

  async openBlob(_digest: string, fromByte: number) {
    this.openedAt.push(fromByte);
    let bytes = CONTENT.subarray(fromByte);
    if (this.spoil > 0) {
      this.spoil--;
      bytes = Buffer.alloc(bytes.length, 'x');
    }
    const cut = this.cutAfter.shift();
    const broken = new WeftError('host-unreachable', 'cut');
    const stream = Readable.from(
      (async function* () {
        if (cut === undefined) yield bytes;
        else {
          yield bytes.subarray(0, cut);
          await sleep(30);
          throw broken;
        }
      })(),
    );
    return { stream, totalBytes: CONTENT.length };
  }
}

let folder: string;
let source: Source;
let cache: FileBlobCache;
const log = pino({ level: 'silent' });
const signal = new AbortController().signal;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-cache-'));
  source = new Source();
  cache = new FileBlobCache({ folder, source, clock: systemClock, log });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('ten that ask at once cause one fetch', async () => {
  const paths = await Promise.all(Array.from({ length: 10 }, () => cache.ensure(blob, 'layer', { signal })));
  expect(new Set(paths).size).toBe(1);
  expect(source.openedAt).toEqual([0]);
  expect(await readFile(String(paths[0]))).toEqual(CONTENT);
  expect(await cache.list()).toEqual([blob.digest]);
});

test('an interrupted fetch goes on where it was, also after a restart', async () => {
  source.cutAfter = [4000];
  await cache.ensure(blob, 'file', { signal });
  expect(source.openedAt).toEqual([0, 4000]);

  const hex = blob.digest.slice(7);
  await rm(join(folder, hex));
  await writeFile(join(folder, `${hex}.partial`), CONTENT.subarray(0, 7000));
  const restarted = new FileBlobCache({ folder, source, clock: systemClock, log });
  await restarted.ensure(blob, 'file', { signal });
  expect(source.openedAt).toEqual([0, 4000, 7000]);
});

test('what has the wrong digest is fetched again, and refused when it is wrong at its source', async () => {
  source.spoil = 1;
  await cache.ensure(blob, 'file', { signal });
  expect(source.openedAt).toEqual([0, 0]);
  await cache.prune(new Set());
  source.spoil = 9;
  await expect(cache.ensure(blob, 'file', { signal })).rejects.toMatchObject({ code: 'digest-mismatch' });
  expect(await cache.list()).toEqual([]);
});

test('a file that was changed after it was verified is not used', async () => {
  const path = await cache.ensure(blob, 'file', { signal });
  await writeFile(path, Buffer.alloc(CONTENT.length, 'y'));
  await cache.ensure(blob, 'file', { signal });
  expect(source.openedAt).toEqual([0, 0]);
  expect(await readFile(path)).toEqual(CONTENT);
});

test('a verified file is not fetched again by the next start', async () => {
  await cache.ensure(blob, 'file', { signal });
  const restarted = new FileBlobCache({ folder, source, clock: systemClock, log });
  await restarted.ensure(blob, 'file', { signal });
  expect(source.openedAt).toEqual([0]);
});

test('one who gives up does not stop the others', async () => {
  source.cutAfter = [100, 100];
  const impatient = new AbortController();
  const given = cache.ensure(blob, 'file', { signal: impatient.signal });
  const patient = cache.ensure(blob, 'file', { signal });
  impatient.abort(new Error('enough'));
  await expect(given).rejects.toThrow('enough');
  expect(await readFile(await patient)).toEqual(CONTENT);
});

test('pruning keeps what is named', async () => {
  await cache.ensure(blob, 'layer', { signal });
  expect(await cache.prune(new Set([blob.digest]))).toEqual([]);
  expect(await cache.prune(new Set())).toEqual([blob.digest]);
  expect(await cache.list()).toEqual([]);
});
