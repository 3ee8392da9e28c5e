import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildRecipe, DEFAULT_RECIPE_CACHE } from '../../images/recipes/build-recipe.ts';
import { tinyFull } from '../../images/recipes/tiny/recipe.ts';
import { REPOSITORY } from '../lab/layout.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, rowOf, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { diskWithKey } from '../support/own-disk.ts';
import { convertedImage, ownCloudImage } from '../support/own-image.ts';
import { waitFor } from '../support/wait-for.ts';

/** What the README promises to someone who has a cloud image: the commands and the model are taken from it. */
const MACHINE = `apiVersion: weft/v1
kind: Application
name: books
machines:
  db: {image: "mine-uefi:1", size: {cpus: 1, memory: 1GiB, disk: 10GiB}}
`;
/** Disks that came from another hypervisor: SATA and e1000e are all that they know. */
const PREMISES = `apiVersion: weft/v1
kind: Application
name: premises
machines:
  seeded: {image: "sata:1", size: ${TINY}}
  bare: {image: "bare:1", size: ${TINY}}
`;

let golden: GoldenLab;
let image: string;
beforeAll(async () => {
  image = await ownCloudImage((line) => console.log(line));
  golden = await goldenLab('own', { hosts: 2, recipes: [] });
}, 900_000);
afterAll(() => golden?.down(), 60_000);

const inside = (id: string, command: string) => golden.weft.inside(id, command);

const ready = (model: string) =>
  golden.weft.ok(['apply', '-f', model, '--wait', '--timeout', '9m'], { timeoutMs: 570_000 });

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

/** Goes through with a machine that boots by UEFI. @param model its path. */
async function keepsItsFile(model: string): Promise<void> {
  await ready(model);
  expect(await inside('books/db', 'test -d /sys/firmware/efi && echo uefi')).toBe('uefi');
  const boot = await inside('books/db', 'echo kept > mark; sync; cat /proc/sys/kernel/random/boot_id');
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
}

/** Goes through with two instances that boot by BIOS. @param model its path. */
async function areTwo(model: string): Promise<void> {
  await ready(model);
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
  await golden.weft.ok(['delete', 'shop', '--wait']);
}

test('a cloud image of one’s own: two instances from the README, and a machine that boots by UEFI and keeps its file', async () => {
  const { importArguments, model } = await fromReadme();
  const vmdk = join(golden.folder, 'my-cloud.vmdk');
  await Promise.all([
    golden.weft.ok(importArguments, { timeoutMs: 240_000 }),
    convertedImage(image, 'vmdk', vmdk),
  ]);
  await golden.weft.ok(
    [
      ...['image', 'import', vmdk, '--name', 'mine-uefi', '--version', '1'],
      ...['--firmware', 'uefi', '--ssh-user', 'debian'],
    ],
    { timeoutMs: 240_000 },
  );
  const [books, shop] = [await golden.model(MACHINE, 'books.yaml'), await golden.model(model, 'shop.yaml')];
  // A host boots one at a time: the machine is among the first, and boots again beside the last instance.
  await golden.weft.ok(['apply', '-f', books]);
  await Promise.all([keepsItsFile(books), areTwo(shop)]);
  await waitUntilNothingIsLeft(golden);
}, 900_000);

test('disks without virtio drivers: one that takes a seed, and one that has keys of its own and gets none', async () => {
  const signal = AbortSignal.timeout(300_000);
  const { kernel, initrd, disk, traits } = await buildRecipe(tinyFull, {
    cacheFolder: DEFAULT_RECIPE_CACHE,
    onLine: () => undefined,
    signal,
  });
  const own = await diskWithKey(disk, golden.folder);
  const boot = ['--kernel', kernel, '--initrd', initrd, '--cmdline', traits.commandLine];
  const imported = (file: string, name: string, ...more: string[]) =>
    golden.weft.ok([
      'image',
      'import',
      file,
      '--name',
      name,
      '--version',
      '1',
      '--devices',
      'sata',
      ...boot,
      ...more,
    ]);
  await imported(disk, 'sata');
  await imported(own.disk, 'bare', '--seed', 'none', '--ssh-key', own.key);
  await golden.weft.ok(['apply', '-f', await golden.model(PREMISES, 'premises.yaml'), '--wait'], {
    timeoutMs: 400_000,
  });
  const look =
    'cat /etc/hostname; ls -d /sys/block/[svh]d*; basename "$(readlink -f /sys/class/net/eth0/device/driver)"';
  // The seed is a disc in the one, and the other has no second disk at all.
  expect((await inside('premises/seeded', `${look}; ls /dev/sr0`)).split('\n')).toEqual([
    'seeded',
    '/sys/block/sda',
    'e1000e',
    '/dev/sr0',
  ]);
  expect((await inside('premises/bare', `${look}; ls /dev/sr0 || true`)).split('\n')).toEqual([
    'tiny-full',
    '/sys/block/sda',
    'e1000e',
  ]);
  await golden.weft.ok(['delete', 'premises', '--wait']);
  await waitUntilNothingIsLeft(golden);
}, 600_000);
