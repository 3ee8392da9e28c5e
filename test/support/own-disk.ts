import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../agent/kit/exec.ts';
import { makeSshKeyPair } from '../../agent/kit/ssh-keys.ts';

/**
 * A raw disk that takes a key of its own, and needs no seed for that: a copy of one whose file system fills it.
 * @returns path of the disk and of the private key.
 */
export async function diskWithKey(source: string, folder: string): Promise<{ disk: string; key: string }> {
  const [disk, key, accepted] = ['own.raw', 'own-key', 'own-key.pub'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const pair = makeSshKeyPair('own');
  await writeFile(key, pair.private, { mode: 0o600 });
  await writeFile(accepted, `${pair.public}\n`, { mode: 0o600 });
  await exec('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', source, disk], { timeoutMs: 60_000 });
  await exec('debugfs', ['-w', '-R', `write ${accepted} root/.ssh/authorized_keys`, disk], {
    timeoutMs: 60_000,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  });
  return { disk, key };
}
