import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { writeFileAtomic } from '../../agent/kit/atomic-file.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { ExclusiveRunner } from '../../agent/kit/exclusive-runner.ts';
import { VM_ID_PATTERN } from '../../agent/kit/names.ts';
import { makeSshKeyPair } from '../../agent/kit/ssh-keys.ts';
import { type VmSecrets, vmSecrets } from '../../agent/protocol/index.ts';
import type { SecretsStore } from './secrets-contract.ts';

const { utils } = ssh2;
const IMAGE_KEY = /^[0-9a-f]{64}\.key$/;

/** One file a key set: `vms/<app>/<name>/<incarnation>.json`, a machine's `kept.json`; `images/<sha256>.key`. All of mode 0600. */
export class FileSecretsStore implements SecretsStore {
  readonly #folder: string;
  readonly #runner = new ExclusiveRunner();

  constructor(folder: string) {
    this.#folder = folder;
  }

  ensure(
    vmId: string,
    incarnation: number,
    kind: 'instance' | 'machine',
    imageKeySecret: string | null,
  ): Promise<VmSecrets> {
    const file = join(this.#vmFolder(vmId), kind === 'machine' ? 'kept.json' : `${incarnation}.json`);
    return this.#runner.run(file, async () => {
      const known = await readFile(file, 'utf8').catch(() => null);
      if (known !== null) return vmSecrets.parse(JSON.parse(known));
      const secrets = this.#make(imageKeySecret === null ? null : await this.#imageKey(imageKeySecret));
      await this.#private(this.#vmFolder(vmId));
      await writeFileAtomic(file, JSON.stringify(secrets), 0o600);
      return secrets;
    });
  }

  async remove(vmId: string, upToIncarnation: number): Promise<void> {
    const folder = this.#vmFolder(vmId);
    const files = await readdir(folder).catch(() => []);
    const gone = files.filter((file) => file === 'kept.json' || Number.parseInt(file, 10) <= upToIncarnation);
    await Promise.all(gone.map((file) => rm(join(folder, file), { force: true })));
    if (gone.length === files.length) await rm(folder, { recursive: true, force: true });
  }

  async putImageKey(privateKey: string): Promise<string> {
    const parsed = utils.parseKey(privateKey);
    if (parsed instanceof Error || !parsed.isPrivateKey())
      throw new WeftError(
        'invalid-image',
        'the key given with --ssh-key is no private key without a passphrase',
        {
          remedy: 'Give the private key file, in OpenSSH or PEM form, without a passphrase.',
        },
      );
    const name = `${createHash('sha256').update(privateKey).digest('hex')}.key`;
    await this.#private(join(this.#folder, 'images'));
    await writeFileAtomic(join(this.#folder, 'images', name), privateKey, 0o600);
    return name;
  }

  #make(imageKey: string | null): VmSecrets {
    const host = makeSshKeyPair('weft guest');
    if (imageKey !== null)
      return {
        userPrivateKey: imageKey,
        userPublicKey: publicKeyOf(imageKey),
        hostPrivateKey: host.private,
        hostPublicKey: host.public,
      };
    const user = makeSshKeyPair('weft');
    return {
      userPrivateKey: user.private,
      userPublicKey: user.public,
      hostPrivateKey: host.private,
      hostPublicKey: host.public,
    };
  }

  async #imageKey(name: string): Promise<string> {
    if (!IMAGE_KEY.test(name)) throw new WeftError('internal', `${name} is no name of an image's key`);
    return readFile(join(this.#folder, 'images', name), 'utf8');
  }

  #vmFolder(vmId: string): string {
    if (!VM_ID_PATTERN.test(vmId)) throw new WeftError('bad-request', `no VM is called ${vmId}`);
    return join(this.#folder, 'vms', vmId);
  }

  async #private(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
  }
}

function publicKeyOf(privateKey: string): string {
  const parsed = utils.parseKey(privateKey);
  if (parsed instanceof Error) throw parsed;
  return `${parsed.type} ${parsed.getPublicSSH().toString('base64')}`;
}
