import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { REPOSITORY } from '../lab/layout.ts';
import { type GoldenLab, goldenLab } from '../support/golden-lab.ts';
import { isReady, rowOf, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { convertedImage, ownCloudImage } from '../support/own-image.ts';
import { waitFor } from '../support/wait-for.ts';

/** What the README promises to someone who has a cloud image: the commands and the model are taken from it. */
const MACHINE = `apiVersion: weft/v1
kind: Application
name: books
machines:
  db: {image: "mine-uefi:1", size: {cpus: 1, memory: 1GiB, disk: 10GiB}}
`;

let golden: GoldenLab;
let image: string;
beforeAll(async () => {
  image = await ownCloudImage((line) => console.log(line));
  golden = await goldenLab('own', { hosts: 2, recipes: [] });
}, 900_000);
afterAll(() => golden?.down(), 60_000);

const inside = async (id: string, command: string) =>
  (await golden.weft.ok(['ssh', id, '--', command])).trim();

async function fromReadme(): Promise<{ importArguments: string[]; model: string }> {
  const text = await readFile(join(REPOSITORY, 'README.md'), 'utf8');
  const command = /^npx weft (image import my-cloud\.qcow2 .*)$/m.exec(text)?.[1];
  const model = /<<'YAML'\n(.*?)^YAML$/ms.exec(text)?.[1];
  if (command === undefined || model === undefined)
    throw new Error('README.md no longer shows how to run an image of one’s own');
  return {
    importArguments: command.split(' ').map((word) => (word === 'my-cloud.qcow2' ? image : word)),
    model,
  };
}

test('a cloud image of one’s own: two instances from the README, and a machine that boots by UEFI and keeps its file', async () => {
  const { importArguments, model } = await fromReadme();
  await golden.weft.ok(importArguments, { timeoutMs: 240_000 });
  const vmdk = join(golden.folder, 'my-cloud.vmdk');
  await convertedImage(image, 'vmdk', vmdk);
  await golden.weft.ok(
    [
      ...['image', 'import', vmdk, '--name', 'mine-uefi', '--version', '1'],
      ...['--firmware', 'uefi', '--ssh-user', 'debian'],
    ],
    { timeoutMs: 240_000 },
  );
  const files = [await golden.model(model, 'shop.yaml'), await golden.model(MACHINE, 'books.yaml')];
  await Promise.all(
    files.map((file) =>
      golden.weft.ok(['apply', '-f', file, '--wait', '--timeout', '9m'], { timeoutMs: 570_000 }),
    ),
  );

  const rows = await golden.weft.ps('shop');
  expect(rows.map((row) => [row.id, row.state])).toEqual([
    ['shop/web-0', 'ready'],
    ['shop/web-1', 'ready'],
  ]);
  for (const { id } of rows) {
    expect(await inside(id, 'id -un; sudo -n id -un; hostname')).toBe(`debian\nroot\n${id.split('/')[1]}`);
    expect(await inside(id, 'test -d /sys/firmware/efi || echo bios')).toBe('bios');
    const rootMiB = Number((await inside(id, 'df -m --output=size / | tail -1')).trim());
    expect(rootMiB).toBeGreaterThan(9_000);
  }

  expect(await inside('books/db', 'test -d /sys/firmware/efi && echo uefi')).toBe('uefi');
  const boot = await inside('books/db', 'echo kept > mark; sync; cat /proc/sys/kernel/random/boot_id');
  await golden.weft.ok(['delete', 'shop', '--wait']);
  await golden.weft.ok(['reboot', 'books/db']);
  await waitFor(
    'another boot of the machine',
    // A guest that is going down may take a connection and then say nothing for long.
    () =>
      golden.weft
        .run(['ssh', 'books/db', '--', 'cat /proc/sys/kernel/random/boot_id'], { timeoutMs: 60_000 })
        .catch(() => null),
    (answer) => answer?.exitCode === 0 && answer.stdout.trim() !== boot,
    400_000,
  );
  expect(await inside('books/db', 'cat mark')).toBe('kept');
  await waitFor(
    'the machine to be ready again',
    async () => rowOf(await golden.weft.ps('books'), 'books/db'),
    isReady,
  );
  await golden.weft.ok(['delete', 'books', '--wait']);
  await waitUntilNothingIsLeft(golden);
}, 900_000);
