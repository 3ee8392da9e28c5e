import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_ARCHIVE_LIMITS } from '../../../images/archive/contract.ts';
import { folderEntries, inspectPackage } from '../../../images/archive/package-archive.ts';
import { type Item, tarOf, writeTarGz } from './archives.ts';

describe('a package', () => {
  let folder: string;
  let count = 0;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-package-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const file = () => join(folder, `${++count}.tar.gz`);
  const packed = (items: readonly Item[]) => writeTarGz(file(), items);
  const bytes = async (content: Buffer) => {
    const path = file();
    await writeFile(path, content);
    return path;
  };
  const GOOD: readonly Item[] = [
    { name: './', type: 'directory' },
    { name: './web/', type: 'directory', mode: 0o755 },
    { name: './web/install.sh', content: '#!/bin/sh\n', mode: 0o4755 },
    { name: './web/public/index.html', content: 'hello' },
    { name: './web/current', type: 'symlink', linkname: 'public/index.html' },
    { name: './web/public/up', type: 'symlink', linkname: '../install.sh' },
    { name: './web/again', type: 'link', linkname: './web/install.sh' },
    { name: './reports/report.sh', content: 'x'.repeat(100_000) },
    { name: './README', content: 'at the top' },
  ];

  it('tells its folders and its size', async () => {
    expect(await inspectPackage(await packed(GOOD))).toEqual({
      folders: ['reports', 'web'],
      entries: 9,
      unpackedBytes: 100_025,
    });
  });

  it('gives one folder’s entries with paths relative to it', async () => {
    const seen: string[] = [];
    for await (const entry of folderEntries(await packed(GOOD), 'web')) {
      const content = await text(entry.stream);
      seen.push(`${entry.type} ${entry.path} ${entry.mode.toString(8)} ${entry.link ?? content}`);
    }
    expect(seen).toEqual([
      'file install.sh 755 #!/bin/sh\n',
      'file public/index.html 644 hello',
      'symlink current 644 public/index.html',
      'symlink public/up 644 ../install.sh',
      'hardlink again 644 install.sh',
    ]);
  });

  it('gives the whole archive, also to a reader that skips contents', async () => {
    const paths: string[] = [];
    for await (const entry of folderEntries(await packed(GOOD), null)) paths.push(entry.path);
    expect(paths).toHaveLength(8);
    expect(paths).toContain('reports/report.sh');
  });

  it('can be left half-read', async () => {
    for await (const entry of folderEntries(await packed(GOOD), 'reports')) {
      expect(entry.path).toBe('report.sh');
      break;
    }
  });

  it('says which folder it lacks', async () => {
    const reading = async () => {
      for await (const _entry of folderEntries(await packed(GOOD), 'portal')) expect.unreachable();
    };
    await expect(reading()).rejects.toMatchObject({ code: 'invalid-package', message: /portal/ });
  });

  const bad: readonly [string, readonly Item[]][] = [
    ['an absolute path', [{ name: '/etc/passwd', content: 'x' }]],
    ['a path that climbs', [{ name: 'web/../../etc/passwd', content: 'x' }]],
    ['a path that climbs at its start', [{ name: '../x', content: 'x' }]],
    ['a path with a line break', [{ name: 'web/a\nb', content: 'x' }]],
    ['a device', [{ name: 'web/null', type: 'character-device' }]],
    ['a disk', [{ name: 'web/sda', type: 'block-device' }]],
    ['a pipe', [{ name: 'web/pipe', type: 'fifo' }]],
    ['a link to an absolute path', [{ name: 'web/l', type: 'symlink', linkname: '/etc/passwd' }]],
    ['a link to another role', [{ name: 'web/l', type: 'symlink', linkname: '../db/secret' }]],
    ['a link that climbs behind another', [{ name: 'web/l', type: 'symlink', linkname: 'x/../../y' }]],
    [
      'a path through a link',
      [
        { name: 'web/l', type: 'symlink', linkname: '.' },
        { name: 'web/l/l/x', content: 'x' },
      ],
    ],
    [
      'a link in place of a folder',
      [
        { name: 'web/a/b', content: 'x' },
        { name: 'web/a', type: 'symlink', linkname: 'b' },
      ],
    ],
    [
      'a file twice, the first a link',
      [
        { name: 'web/a', type: 'symlink', linkname: 'b' },
        { name: 'web/a', content: 'x' },
      ],
    ],
    ['a hard link to nothing', [{ name: 'web/l', type: 'link', linkname: '/etc/passwd' }]],
    [
      'a hard link into another role',
      [
        { name: 'db/secret', content: 'x' },
        { name: 'web/l', type: 'link', linkname: 'db/secret' },
      ],
    ],
    ['nothing', []],
  ];
  it.each(bad)('is refused with %s', async (_what, items) => {
    await expect(inspectPackage(await packed(items))).rejects.toMatchObject({
      code: 'invalid-package',
      remedy: expect.any(String),
    });
  });

  it.each([
    ['an empty file', Buffer.alloc(0)],
    ['a text', Buffer.from('hello')],
    ['a packed text', gzipSync('hello '.repeat(1000))],
    ['noise', Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 256))],
  ])('is refused when it is %s', async (_what, content) => {
    await expect(inspectPackage(await bytes(content))).rejects.toMatchObject({ code: 'invalid-package' });
  });

  it('is refused uncompressed', async () => {
    await expect(inspectPackage(await bytes(await tarOf(GOOD)))).rejects.toMatchObject({
      code: 'invalid-package',
    });
  });

  it('is refused truncated, wherever it was cut', async () => {
    const noise = Buffer.from(
      Array.from({ length: 30_000 }, (_, index) => (index * index * 31 + index) % 251),
    );
    const whole = gzipSync(await tarOf([{ name: 'web/noise', content: noise }, ...GOOD.slice(2)]));
    for (const share of [0.01, 0.3, 0.7, 0.99]) {
      const cut = await bytes(whole.subarray(0, Math.floor(whole.length * share)));
      await expect(inspectPackage(cut)).rejects.toMatchObject({ code: 'invalid-package' });
    }
  });

  it('is refused when it unpacks to too much, has too many entries, or is a bomb', async () => {
    const zeros = await packed([{ name: 'web/zeros', content: Buffer.alloc(40 * 1024 ** 2) }]);
    const limits = DEFAULT_ARCHIVE_LIMITS;
    await expect(inspectPackage(zeros)).rejects.toMatchObject({ message: /times its size/ });
    const small = { ...limits, maximumBytes: 1000 };
    await expect(inspectPackage(await packed(GOOD), small)).rejects.toMatchObject({ message: /1000 bytes/ });
    const few = { ...limits, maximumEntries: 3 };
    await expect(inspectPackage(await packed(GOOD), few)).rejects.toMatchObject({ message: /3 entries/ });
  });

  it('is not found when the file is absent', async () => {
    await expect(inspectPackage(join(folder, 'absent'))).rejects.toMatchObject({ code: 'not-found' });
  });
});
