import { readFile } from 'node:fs/promises';
import { WeftError } from '../../../agent/kit/errors.ts';
import { readText } from '../../../agent/kit/read-text.ts';
import type { CertificateRow } from '../../client/index.ts';
import type { Command, Context } from '../context.ts';
import { json, moment, printRows } from '../output.ts';
import { unreadable } from '../unreadable.ts';

const MAXIMUM_BYTES = 128 * 1024;

const NOT_SERVED = {
  other: 'serves another one of this name: an older one, or its own',
  none: 'does not serve it',
  unknown: 'does not say whether it serves it: it is not heard, or its agent is too old',
};

export const certificateLs: Command = {
  usage: '',
  summary: 'certificates of endpoints: for which names, until when, and which endpoints use them',
  isDefault: true,
  async run(context) {
    const rows = await (await context.client()).listCertificates();
    printRows(
      context,
      rows,
      ['certificate', 'names', 'not after', 'issuer', 'put', 'by', 'endpoints', 'served by'],
      ({ name, kept, wanted, endpoints, hosts = [] }) => [
        name,
        kept?.names.join(' ') || (wanted.length > 0 ? `wanted: ${wanted.join(' ')}` : null),
        kept && moment(kept.notAfterMs),
        kept?.issuer ?? null,
        kept && moment(kept.putAtMs),
        kept?.by ?? null,
        endpoints.join(' ') || null,
        hosts.flatMap(({ host, state }) => (state === 'served' ? host : [])).join(' ') || null,
      ],
    );
    if (context.json) return 0;
    for (const row of rows) {
      tell(context, row);
      for (const { host, state } of row.kept ? (row.hosts ?? []) : [])
        if (state !== 'served') context.say(`${row.name}: ${host} ${NOT_SERVED[state]}`);
    }
    return 0;
  },
};

export const certificatePut: Command = {
  usage: '<name>',
  summary: 'keep a certificate with its key, and give it to the edge hosts whose endpoints name it',
  options: [
    ['-f, --file <file>', 'PEM: the certificate, what signs it, and its key; - is standard input'],
    ['-k, --key <file>', 'PEM of the key, where it is in a file of its own; without a passphrase'],
  ],
  async run(context, [name = ''], { file, key }) {
    if (typeof file !== 'string')
      throw new WeftError(
        'usage',
        'which certificate? give it with --file FILE, or --file - for standard input',
      );
    const certificate = await readGiven(file);
    const row = await (await context.client()).putCertificate(name, {
      certificate,
      ...(typeof key === 'string' ? { key: await readGiven(key) } : {}),
    });
    if (context.json) context.print(json(row));
    else {
      const names = row.kept?.names.join(', ') || 'no DNS name';
      context.say(`${name}: for ${names}, until ${moment(row.kept?.notAfterMs ?? 0)} UTC`);
      tell(context, row);
    }
    return 0;
  },
};

export const certificateRenew: Command = {
  usage: '<name>',
  summary: 'have the controller’s hook obtain another one now, also where it waits after failures',
  async run(context, [name = '']) {
    await (await context.client()).renewCertificate(name);
    context.say(`${name}: the hook obtains another one. See: weft certificate ls`);
    if (context.json) context.print(json({ asked: name }));
    return 0;
  },
};

export const certificateRm: Command = {
  usage: '<name>',
  summary: 'remove a certificate that no endpoint uses',
  options: [
    [
      '--force',
      'also one that endpoints use: they are not served then, unless edge hosts have one of their own',
    ],
  ],
  async run(context, [name = ''], options) {
    await (await context.client()).removeCertificate(name, { force: options.force === true });
    context.say(`${name}: removed; edge hosts remove it as well`);
    if (context.json) context.print(json({ removed: name }));
    return 0;
  },
};

function tell(context: Context, { name, notes }: CertificateRow): void {
  for (const note of notes) context.say(`${name}: ${note}`);
}

async function readGiven(file: string): Promise<string> {
  try {
    return file === '-' ? await readText(process.stdin, MAXIMUM_BYTES) : await readFile(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error, 'Give a file in PEM form, or - for standard input.');
  }
}
