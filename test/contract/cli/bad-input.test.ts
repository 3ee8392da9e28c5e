import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import type { Authority } from '../../../controller/fleet/authority.ts';
import { anAuthority } from '../../support/certificates.ts';
import { LoneController } from '../../support/lone-controller.ts';
import { type Item, writeTarGz } from '../../unit/images/archives.ts';

const MODEL = `apiVersion: weft/v1
kind: Application
name: crm
roles:
  web: {kind: worker, image: "tiny:stable", size: small, instances: 1}
machines:
  db: {image: "tiny:stable", size: small}
`;
const LABEL = 'must be a DNS label: lower-case letters, digits and dashes, a letter first, at most 40';
const PACK = 'Make it with: tar -C FOLDER -czf crm.tar.gz .';
const COPY = 'Copy it again from its source, and compare its checksum there.';

const issue = (authority: Authority, nowMs = Date.now()) =>
  authority.issueServer(['shop.example.org'], nowMs);

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly remedy?: string;
}

/** What a script reads on stdout, what a person reads on stderr, the exit code; and that the controller holds what it held. */
describe('bad input at the command line', () => {
  let controller: LoneController;
  beforeAll(async () => {
    controller = await LoneController.start();
  }, 120_000);
  afterAll(() => controller?.stop());

  /** Temporary paths and digests are not the point. */
  const plain = (text: string) => text.replaceAll(`${controller.folder}/`, '').replace(/[0-9a-f]{64}/g, '…');
  const forScript = async (exitCode: number, args: readonly string[]): Promise<Refusal> => {
    // In front: after the id, `weft ssh` hands options to the guest's command.
    const result = await controller.weft.run(['--json', ...args]);
    expect(result.exitCode, result.stderr).toBe(exitCode);
    expect(result.stderr).not.toBe('');
    const { error } = JSON.parse(result.stdout) as { error: Refusal };
    const { code, message, remedy } = error;
    return { code, message: plain(message), ...(remedy === undefined ? {} : { remedy }) };
  };
  const forPerson = async (exitCode: number, args: readonly string[]): Promise<string> => {
    const result = await controller.weft.run(args);
    expect(result.exitCode, result.stderr).toBe(exitCode);
    expect(result.stdout).toBe('');
    return plain(result.stderr);
  };
  const nothingIsLeft = async () => {
    for (const folder of ['blobs/sha256', 'blobs/incoming', 'work'])
      expect(await readdir(join(controller.folder, 'state', folder)), folder).toEqual([]);
    expect(await controller.weft.json(['ls'])).toEqual([]);
    expect(await controller.weft.json(['image', 'ls'])).toEqual([]);
  };

  test('a model with a typo says where, what was meant, and how to write it', async () => {
    const file = await controller.write('weft.yaml', MODEL.replace('instances:', 'instnaces:'));
    const message = 'line 5, column 58: roles.web.instnaces: unknown key "instnaces"';
    const remedy = 'Did you mean instances?';
    expect(await forScript(1, ['apply', '-f', file])).toEqual({ code: 'invalid-model', message, remedy });
    expect(await forPerson(1, ['plan', '-f', file])).toBe(
      `weft: a problem in weft.yaml; nothing was changed\nweft.yaml:5:58: roles.web.instnaces: unknown key "instnaces"\n  ${remedy}`,
    );
    await nothingIsLeft();
  });

  test('a certificate is refused by its name when its key is another one’s, and when it has expired', async () => {
    const authority = await anAuthority();
    const [one, other] = [await issue(authority), await issue(authority)];
    const old = await issue(authority, Date.now() - 365 * 86_400_000);
    await controller.write('one.pem', one.certificate);
    await controller.write('other.key', other.key);
    await controller.write('old.pem', `${old.certificate}\n${old.key}`);
    const put = (file: string, ...more: string[]) => [
      ...['certificate', 'put', 'shop', '--file', join(controller.folder, file), ...more],
    ];
    expect(await forScript(1, put('one.pem', '--key', join(controller.folder, 'other.key')))).toEqual({
      code: 'invalid-certificate',
      message: 'certificate shop: the key is not that of the certificate (shop.example.org)',
      remedy: 'Give the key that the certificate was requested with.',
    });
    expect(await forPerson(1, put('old.pem'))).toMatch(
      /^weft: certificate shop: it has expired on .*\n {2}Renew it, and put the new one\.$/,
    );
    expect((await forScript(2, put('absent.pem'))).message).toBe(
      'cannot read absent.pem: there is no such file',
    );
    expect((await forScript(2, ['certificate', 'put', 'shop'])).message).toContain('--file FILE');
    expect(
      await forScript(2, ['certificate', 'put', 'Shop', '--file', join(controller.folder, 'old.pem')]),
    ).toEqual({ code: 'bad-request', message: `name: ${LABEL}` });
    expect(await forPerson(0, ['certificate', 'challenge', 'rm', 'nope'])).toBe(
      'nope: there was no such challenge',
    );
    expect((await forScript(1, ['certificate', 'rm', 'shop'])).code).toBe('not-found');
    expect(await controller.weft.json(['certificate', 'ls'])).toEqual([]);
    const token = 'evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA';
    expect((await forScript(2, ['certificate', 'challenge', 'put', token, 'no answer'])).code).toBe(
      'bad-request',
    );
    const answer = `${token}.nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ`;
    expect((await forScript(1, ['certificate', 'challenge', 'put', token, answer])).message).toContain(
      'port 80',
    );
    await controller.write('one.key', one.key);
    const fromInput = [
      'certificate',
      'put',
      'shop',
      '--file',
      '-',
      '--key',
      join(controller.folder, 'one.key'),
    ];
    const kept = await controller.weft.run(fromInput, { input: one.certificate });
    expect(kept.stderr).toContain('for shop.example.org, until');
    expect(await controller.weft.json(['certificate', 'ls'])).toMatchObject([
      { name: 'shop', kept: { by: 'admin' } },
    ]);
    await controller.weft.ok(['certificate', 'rm', 'shop']);
    expect(await readdir(join(controller.folder, 'state', 'secrets', 'certificates'))).toEqual([]);
  });

  test('a name that would be a path is refused before anything is made of it', async () => {
    const file = await controller.write('weft.yaml', MODEL.replace('name: crm', 'name: ../../etc'));
    const message = `line 3, column 7: name: ${LABEL}`;
    expect(await forScript(1, ['apply', '-f', file])).toEqual({ code: 'invalid-model', message });
    await nothingIsLeft();
  });

  test('a package that is no archive, leaves its folder or is a bomb is refused by its name', async () => {
    const file = await controller.write(
      'weft.yaml',
      MODEL.replace('name: crm\n', 'name: crm\npackage: ./crm.tar.gz\n'),
    );
    const refusal = async (message: string, remedy: string) =>
      expect(await forScript(1, ['apply', '-f', file])).toEqual({
        ...{ code: 'invalid-package', message: `./crm.tar.gz: the package ${message}`, remedy },
      });
    await controller.write('crm.tar.gz', 'hello');
    await refusal('is not a gzip-compressed tar archive (incorrect header check)', PACK);
    const unsafe: readonly [Item, string, string][] = [
      [
        { name: 'web/../../etc/passwd', content: 'x' },
        'holds the unsafe path "web/../../etc/passwd"',
        'Pack it with relative paths: tar -C FOLDER -czf crm.tar.gz .',
      ],
      [
        { name: 'web/zeros', content: Buffer.alloc(40 * 1024 ** 2) },
        'unpacks to more than 500 times its size',
        'Leave out huge files of nothing but zeros.',
      ],
    ];
    for (const [item, message, remedy] of unsafe) {
      await writeTarGz(join(controller.folder, 'crm.tar.gz'), [item]);
      await refusal(message, remedy);
    }
    await nothingIsLeft();
  });

  test('an image that is truncated, of a wrong digest, or of another file’s content is refused by its name', async () => {
    const raw = await controller.write('disk.raw', Buffer.alloc(4 * 1024 ** 2, 7));
    const disk = join(controller.folder, 'disk.qcow2');
    await exec('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, disk], { timeoutMs: 30_000 });
    const whole = await readFile(disk);
    await controller.write('half.qcow2', whole.subarray(0, 20 * 65_536));
    await controller.write('start.qcow2', whole.subarray(0, 65_536));
    const thief = ['-F', 'raw', '-b', '/etc/passwd', join(controller.folder, 'thief.qcow2'), '8M'];
    await exec('qemu-img', ['create', '-q', '-f', 'qcow2', ...thief], { timeoutMs: 30_000 });
    const anImport = (file: string, ...more: string[]) => [
      ...['image', 'import', join(controller.folder, file), '--name', 'crm', '--version', '1', ...more],
    ];
    const cases: readonly [args: readonly string[], Refusal][] = [
      [
        anImport('half.qcow2'),
        {
          code: 'invalid-image',
          message: 'half.qcow2: the image is damaged: its tables refer to data that is not there',
          remedy: `It is probably truncated: ${COPY.replace('Copy', 'copy')}`,
        },
      ],
      [
        anImport('start.qcow2'),
        { code: 'invalid-image', message: 'start.qcow2: the image is truncated', remedy: COPY },
      ],
      [
        anImport('thief.qcow2'),
        {
          code: 'invalid-image',
          message:
            'thief.qcow2: the image has a backing file: it is only the changes on top of another image',
          remedy: 'Make it whole with: qemu-img convert -O qcow2 FILE NEW',
        },
      ],
      [
        anImport('disk.qcow2', '--sha256', 'a'.repeat(64)),
        {
          code: 'digest-mismatch',
          message: 'disk.qcow2: expected sha256:…, received sha256:…',
          remedy: 'Send it again; if it stays so, the source is damaged.',
        },
      ],
    ];
    for (const [args, refusal] of cases) expect(await forScript(1, args)).toEqual(refusal);
    expect(await forScript(2, ['image', 'import', disk, '--name', '../x', '--version', '1'])).toEqual({
      code: 'bad-request',
      message: '"../x" is no name for an image',
      remedy: 'Use lower-case letters, digits and dashes, starting with a letter, at most 40.',
    });
    await nothingIsLeft();
  });

  test('what is written wrongly ends with 2, what is not there with 1', async () => {
    const usage: readonly [args: readonly string[], message: string][] = [
      [['apply'], 'which model? give it with -f FILE'],
      [['aply'], "unknown command 'aply'\n(Did you mean apply?)"],
      [['ps', '--frobnicate'], "unknown option '--frobnicate'"],
      [['net', 'wyh', 'crm/web', 'crm/db:1'], "unknown command 'wyh' of weft net"],
      [['certificate', 'challenge', 'nope'], "unknown command 'nope' of weft certificate challenge"],
      [['apply', '-f', 'x', '--timeout', 'soon'], 'soon is no duration: write 30s, 10m or 1h'],
    ];
    for (const [args, message] of usage)
      expect(await forScript(2, args)).toMatchObject({ code: 'usage', message });
    expect(await forPerson(2, ['net'])).toBe(
      "weft: missing required argument 'app'\n  Usage: weft net show [options] <app>\n  See: weft net show --help",
    );
    expect(await forPerson(2, ['certificate', 'nope'])).toBe(
      "weft: unknown command 'nope' of weft certificate\n  It has ls, put, renew, rm, challenge. See: weft certificate --help",
    );
    expect(await forPerson(2, ['ps', '--frobnicate'])).toBe(
      "weft: unknown option '--frobnicate'\n  Usage: weft ps [options] [app]\n  See: weft ps --help",
    );
    const unsigned = await forPerson(2, ['host', 'confirm-dead', 'h1']);
    expect(unsigned).toContain('If it still runs, two copies of a machine write to one disk and destroy it');
    const absent: readonly [args: readonly string[], message: string, remedy: string][] = [
      [['scale', 'crm/web=3'], 'there is no application crm', 'See "weft ls".'],
      [['ssh', 'crm/web-0'], 'there is no VM crm/web-0', 'See: weft ps'],
      [['host', 'fence-test', 'h1'], 'there is no host h1', 'See "weft host ls".'],
      [['host', 'confirm-dead', 'h1', '--yes'], 'there is no host h1', 'See "weft host ls".'],
      [
        ['image', 'inspect', 'crm:1'],
        'there is no image crm:1',
        'The catalogue is empty: run weft image build debian, or weft image import FILE.',
      ],
    ];
    for (const [args, message, remedy] of absent)
      expect(await forScript(1, args)).toEqual({ code: 'not-found', message, remedy });
  });
});
