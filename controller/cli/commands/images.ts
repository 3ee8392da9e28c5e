import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { WeftClient } from '../../client/index.ts';
import { about } from '../about.ts';
import type { Command, Context } from '../context.ts';
import { json, mebibytes, printRows } from '../output.ts';

export const imageLs: Command = {
  usage: '',
  summary: 'golden images',
  async run(context) {
    const rows = await (await context.client()).listImages();
    printRows(context, rows, ['image', 'version', 'channels', 'size', 'virtual', 'from'], (row) => [
      row.name,
      row.version,
      row.channels.join(' '),
      mebibytes(row.sizeBytes),
      mebibytes(row.virtualSizeBytes),
      row.sourceFormat,
    ]);
    return 0;
  },
};

function split(image: string): [name: string, version: string] {
  const [name = '', version = ''] = image.split(':');
  if (name === '' || version === '') throw new WeftError('usage', `${image} is no NAME:VERSION`);
  return [name, version];
}

export const imageInspect: Command = {
  usage: '<name:version>',
  summary: 'everything known of one version; a channel stands for the version that it means now',
  async run(context, [image = '']) {
    const [name, version] = split(image);
    const client = await context.client();
    const meant = (await client.listImages()).find(
      (row) => row.name === name && (row.version === version || row.channels.includes(version)),
    );
    context.print(json(await client.getImage(name, meant?.version ?? version)));
    return 0;
  },
};

export const imageRm: Command = {
  usage: '<name:version>',
  summary: 'remove a version that no application uses',
  async run(context, [image = '']) {
    await (await context.client()).removeImage(...split(image));
    context.say(`${image}: removed`);
    if (context.json) context.print(json({ removed: image }));
    return 0;
  },
};

async function follow(context: Context, client: WeftClient, job: string): Promise<number> {
  const made = await client.followJob(job, (line) => context.say(line));
  context.print(context.json ? json(made) : `${made.name}:${made.version}\n`);
  return 0;
}

export const imageBuild: Command = {
  usage: '<recipe>',
  summary: 'build an image from a recipe: tiny, tiny-full, debian',
  options: [
    ['--name <name>', 'default: the recipe’s'],
    ['--version <version>', 'default: made from its content'],
    ['--channel <channel>', 'moved to the new version', 'stable'],
  ],
  async run(context, [recipe = ''], options) {
    const client = await context.client();
    const text = (key: string) => (typeof options[key] === 'string' ? options[key] : undefined);
    const { job } = await client.buildImage({
      recipe,
      name: text('name'),
      version: text('version'),
      channel: text('channel'),
    });
    return follow(context, client, job);
  },
};

export const imageImport: Command = {
  usage: '<file>',
  summary: 'import a disk image: qcow2, raw, vmdk, vhd or vhdx',
  options: [
    ['--name <name>', 'name of the image'],
    ['--version <version>', 'its version, never to be changed again'],
    ['--channel <channel>', 'moved to this version'],
    ['--sha256 <hex>', 'what the file must be: another one is refused'],
    ['--kernel <file>', 'boot this kernel directly'],
    ['--initrd <file>', 'with this initial RAM disk'],
    ['--cmdline <text>', 'and this command line'],
    ['--firmware <kind>', 'of a disk that boots itself: bios or uefi'],
    ['--devices <kind>', 'virtio, or sata for an on-premises disk'],
    [
      '--seed <kind>',
      'nocloud: cloud-init takes our keys; none: the image accepts --ssh-key already',
      'nocloud',
    ],
    ['--ssh-user <user>', 'who logs in'],
    ['--ssh-key <file>', 'private key that the image accepts, with --seed none'],
    ['--web-server <kind>', 'nginx, busybox-httpd or none'],
  ],
  async run(context, [file = ''], options) {
    const text = (key: string) => (typeof options[key] === 'string' ? options[key] : undefined);
    const [name, version] = [text('name'), text('version')];
    if (name === undefined || version === undefined)
      throw new WeftError('usage', 'an import needs --name and --version');
    // Everything is looked at before anything is sent.
    for (const path of [file, text('kernel'), text('initrd'), text('sshKey')])
      if (path !== undefined && !(await stat(path).catch(() => null))?.isFile())
        throw new WeftError('usage', `${path} is no file`);
    const client = await context.client();
    const upload = async (path: string | undefined, expected?: string) => {
      if (path === undefined) return undefined;
      context.say(`uploading ${path}`);
      return (await about(path, () => client.uploadFile(createReadStream(path), expected))).digest;
    };
    const key = text('sshKey');
    const sum = text('sha256');
    if (sum !== undefined && !/^[0-9a-f]{64}$/.test(sum))
      throw new WeftError('usage', `--sha256 ${sum} is no SHA-256: 64 hexadecimal digits`);
    const disk = await upload(file, sum === undefined ? undefined : `sha256:${sum}`);
    if (disk === undefined) throw new WeftError('usage', 'which file?');
    const { job } = await client.importImage({
      name,
      version,
      disk,
      channel: text('channel'),
      kernel: await upload(text('kernel')),
      initrd: await upload(text('initrd')),
      commandLine: text('cmdline'),
      firmware: text('firmware'),
      devices: text('devices'),
      seed: text('seed'),
      sshUser: text('sshUser'),
      sshPrivateKey: key === undefined ? undefined : await readFile(key, 'utf8'),
      webServer: text('webServer'),
    });
    return about(file, () => follow(context, client, job));
  },
};
