import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '../../agent/kit/errors.ts';
import { NAME_PATTERN } from '../../agent/kit/names.ts';

/** What the controller itself knows of a device. */
export interface FenceSecret {
  /** Empty: it needs none, an option says where its key is. */
  readonly password: string;
  /** Overrule what the host says: an address that is here cannot be changed by the host. */
  readonly options: Readonly<Record<string, string>>;
}

const OPTION = /^([a-z][a-z0-9_-]{0,47})=([^\p{Cc}]{0,4096})$/u;
const MAXIMUM_BYTES = 64 * 1024;

/**
 * Reads `<folder>/<name>`: the password on the first line, or nothing, then options as `key=value` lines, `#` before a comment.
 * @throws WeftError `set-up` for a file that is not there, is no plain file, is open to others, or is not one. Never with its content.
 */
export async function readFenceSecret(folder: string, name: string): Promise<FenceSecret> {
  if (!NAME_PATTERN.test(name)) throw new WeftError('set-up', `${name} is no name of a fence secret`);
  const [password = '', ...rest] = (await readPrivate(join(folder, name), name)).split(/\r?\n/);
  // Lines are what the fence agents read: what is no printable text would be another line, or cut.
  if (!/^[^\p{Cc}]{0,1024}$/u.test(password))
    throw new WeftError('set-up', `the first line of fence secret ${name} is no password`);
  const options: Record<string, string> = {};
  for (const [index, line] of rest.entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, key, value] = OPTION.exec(line.trim()) ?? [];
    if (key === undefined || value === undefined)
      throw new WeftError('set-up', `line ${index + 2} of fence secret ${name} is no key=value`);
    options[key] = value;
  }
  if (password === '' && Object.keys(options).length === 0)
    throw new WeftError('set-up', `fence secret ${name} has no password on its first line`);
  return { password, options };
}

async function readPrivate(path: string, name: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      throw new WeftError('set-up', `fence secret ${name} cannot be read: ${error.code ?? 'unknown error'}`, {
        remedy: `On the controller's machine, write the device's password to ${path}, with mode 0600.`,
      });
    },
  );
  try {
    const stat = await file.stat();
    if (!stat.isFile() || stat.size > MAXIMUM_BYTES)
      throw new WeftError('set-up', `fence secret ${name} is no small plain file`);
    if ((stat.mode & 0o077) !== 0 || (stat.uid !== 0 && stat.uid !== process.getuid?.()))
      throw new WeftError('set-up', `fence secret ${name} can be read or written by others`, {
        remedy: `chmod 600 ${path}, owned by the controller's user; then change the password: others may know it.`,
      });
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
