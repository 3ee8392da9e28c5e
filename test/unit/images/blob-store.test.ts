import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileBlobStore } from '../../../images/blob-store.ts';

const digestOf = (bytes: string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

describe('the blob store', () => {
  let folder: string;
  let store: FileBlobStore;
  const incoming = () => readdir(join(folder, 'incoming'));

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-blobs-'));
    store = new FileBlobStore(folder);
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('keeps what it was given, under its digest', async () => {
    const blob = await store.put(Readable.from([Buffer.from('one '), Buffer.from('blob')]));
    expect(blob).toEqual({ digest: digestOf('one blob'), sizeBytes: 8 });
    expect(await readFile(store.path(blob.digest), 'utf8')).toBe('one blob');
    expect(await store.stat(blob.digest)).toEqual(blob);
    expect(await store.list()).toEqual([blob]);
    expect(await text(store.open(blob.digest, { start: 4, end: 5 }))).toBe('bl');
    expect(await incoming()).toEqual([]);
  });

  it('takes the same bytes twice as one blob', async () => {
    await store.put(Readable.from([Buffer.from('same')]));
    await store.put(Readable.from([Buffer.from('same')]));
    expect(await store.list()).toHaveLength(1);
  });

  it('refuses bytes that are not the expected ones, and keeps nothing of them', async () => {
    const put = store.put(Readable.from([Buffer.from('x')]), { expected: digestOf('y') });
    await expect(put).rejects.toMatchObject({ code: 'digest-mismatch' });
    expect(await store.list()).toEqual([]);
    expect(await incoming()).toEqual([]);
  });

  it('keeps nothing of what is judged and refused, and what it had of the same content stays', async () => {
    const refuse = async (file: string) => {
      expect(await readFile(file, 'utf8')).toBe('same');
      throw new Error('refused');
    };
    await expect(store.put(Readable.from([Buffer.from('same')]), { accept: refuse })).rejects.toThrow(
      'refused',
    );
    expect(await store.list()).toEqual([]);
    const { digest } = await store.put(Readable.from([Buffer.from('same')]), { accept: async () => {} });
    await expect(store.put(Readable.from([Buffer.from('same')]), { accept: refuse })).rejects.toThrow(
      'refused',
    );
    expect(await text(store.open(digest))).toBe('same');
    expect(await incoming()).toEqual([]);
  });

  it('stops at the allowed size, and keeps nothing', async () => {
    const endless = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(1000);
      })(),
    );
    await expect(store.put(endless, { maximumBytes: 10_000 })).rejects.toMatchObject({ code: 'too-large' });
    expect(await incoming()).toEqual([]);
  });

  it('keeps nothing of a source that breaks off', async () => {
    const broken = Readable.from(
      (function* () {
        yield Buffer.from('half');
        throw new Error('line dropped');
      })(),
    );
    await expect(store.put(broken)).rejects.toThrow('line dropped');
    expect(await store.list()).toEqual([]);
    expect(await incoming()).toEqual([]);
  });

  it('takes over a file', async () => {
    const file = join(folder, 'built');
    await writeFile(file, 'an image');
    const blob = await store.adopt(file);
    expect(blob).toEqual({ digest: digestOf('an image'), sizeBytes: 8 });
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('removes, again and again', async () => {
    const blob = await store.put(Readable.from([Buffer.from('gone')]));
    await store.remove(blob.digest);
    await store.remove(blob.digest);
    expect(await store.stat(blob.digest)).toBeNull();
  });

  it.each([
    '',
    'sha256:../../etc/passwd',
    `sha256:${'A'.repeat(64)}`,
    `md5:${'a'.repeat(64)}`,
    `sha256:${'a'.repeat(64)}/..`,
  ])('refuses %j as a digest', (digest) => {
    expect(() => store.path(digest)).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });

  it('clears what a crash left, and only that', async () => {
    const blob = await store.put(Readable.from([Buffer.from('whole')]));
    await mkdir(join(folder, 'incoming'), { recursive: true });
    await writeFile(join(folder, 'incoming', 'half'), 'half');
    const reopened = new FileBlobStore(folder);
    expect(await incoming()).toEqual([]);
    expect(await reopened.list()).toEqual([blob]);
  });
});
