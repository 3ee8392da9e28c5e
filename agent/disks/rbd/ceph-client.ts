import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { WeftError } from '../../kit/errors.ts';
import { type ExecOptions, exec } from '../../kit/exec.ts';
import type { RbdPoolConfiguration } from '../contract.ts';

type Program = 'ceph' | 'rados' | 'rbd';

const LIMIT_MS = 20_000;
/** Of Ceph's own: a cluster that does not answer is an error, not a program that waits for ever. Seconds. */
const OWN_LIMIT_S = '10';

/** Who asks and where; the key itself is in the file that is named. */
export const accessArguments = ({ conf, user, keyring }: RbdPoolConfiguration): readonly string[] => [
  '--conf',
  conf,
  '--id',
  user,
  '--keyring',
  keyring,
  '--client_mount_timeout',
  OWN_LIMIT_S,
  '--rados_osd_op_timeout',
  OWN_LIMIT_S,
  '--rados_mon_op_timeout',
  OWN_LIMIT_S,
];

/** How qemu-img is told the same. None of the parts can have a character that would have to be escaped. */
export const qemuName = ({ pool, conf, user, keyring }: RbdPoolConfiguration, image: string): string =>
  `rbd:${pool}/${image}:id=${user}:conf=${conf}:keyring=${keyring}`;

/** Ceph's own programs, for one pool. Whatever Ceph does not do in time is an error; none of them is left running. */
export class CephClient {
  readonly pool: RbdPoolConfiguration;

  constructor(pool: RbdPoolConfiguration) {
    this.pool = pool;
  }

  ceph(...args: string[]): Promise<string> {
    return this.#run('ceph', args);
  }

  /** On objects of the pool. */
  rados(args: readonly string[], options: Pick<ExecOptions, 'input'> = {}): Promise<string> {
    return this.#run('rados', ['--pool', this.pool.pool, ...args], options);
  }

  rbd(...args: string[]): Promise<string> {
    return this.#run('rbd', args);
  }

  /** What may take longer: it is cut short then, and done again. */
  rbdWithin(limitMs: number, ...args: string[]): Promise<string> {
    return this.#run('rbd', args, { timeoutMs: limitMs });
  }

  /** How `rbd` is told of an image, or a snapshot of one. */
  spec(image: string, snapshot?: string): string {
    return `${this.pool.pool}/${image}${snapshot === undefined ? '' : `@${snapshot}`}`;
  }

  /** An object's content; null: there is none. */
  async readObject(name: string): Promise<string | null> {
    return this.rados(['get', name, '-']).catch(nullIfMissing);
  }

  async writeObject(name: string, content: string): Promise<void> {
    await this.rados(['put', name, '-'], { input: content });
  }

  /** Also in a full pool, where Ceph would keep it waiting like any write. */
  async removeObject(name: string): Promise<void> {
    await this.rados(['rm', name, '--force-full']).catch(nullIfMissing);
  }

  /** @throws WeftError `set-up` when there is no configuration, or others than root can read the key. */
  async requireAccess(): Promise<void> {
    const { conf, keyring } = this.pool;
    await access(conf, constants.R_OK).catch((error: NodeJS.ErrnoException) => {
      throw new WeftError(
        'set-up',
        `its configuration ${conf} cannot be read: ${error.code ?? error.message}`,
        {
          remedy: 'Copy it from the cluster; fsid and mon host are enough',
        },
      );
    });
    const found = await stat(keyring).catch((error: NodeJS.ErrnoException) => {
      throw new WeftError('set-up', `its keyring cannot be read: ${error.code ?? error.message}`, {
        remedy: `Write the user's key to ${keyring}, with mode 0600`,
      });
    });
    if (!found.isFile() || (found.mode & 0o077) !== 0 || found.uid !== process.getuid?.())
      throw new WeftError('set-up', `its keyring ${keyring} can be read or written by others`, {
        remedy: `chown root ${keyring} && chmod 600 ${keyring}`,
      });
  }

  async #run(program: Program, args: readonly string[], options: ExecOptions = {}) {
    try {
      const all = [...accessArguments(this.pool), ...args];
      return (await exec(program, all, { timeoutMs: LIMIT_MS, ...options })).stdout;
    } catch (error) {
      throw translate(this.pool, program, args, WeftError.from(error));
    }
  }
}

/** Ceph's programs say which error it was in brackets: `(2) No such file or directory`. */
const ERRNO = /\((\d{1,3})\) /;
const NO_SUCH = '2';
const EXISTS = '17';
/** Clones lie on it, a client has it open, or it has snapshots. */
const BUSY = new Set(['16', '39']);
/** A client that is blocklisted is told that the other end has shut down. */
const SHUT_DOWN = '108';
const UNREACHABLE = new Set(['5', '22', '110', '111', '113']);

function translate(
  pool: RbdPoolConfiguration,
  program: Program,
  args: readonly string[],
  error: WeftError,
): WeftError {
  if (error.code === 'command-failed' && error.message.includes('ENOENT') && error.details?.exitCode === -1)
    return new WeftError('set-up', `${program} is not installed`, { remedy: 'apt-get install ceph-common' });
  // A pool that is not there is no answer about what is in it.
  const errno = error.message.includes('opening pool') ? undefined : errnoOf(program, error);
  if (errno === SHUT_DOWN)
    return new WeftError(
      'host-unreachable',
      `this host is blocklisted in the Ceph cluster of pool ${pool.name}`,
      {
        remedy:
          'The controller lifts this when the host has nothing left of what lives elsewhere by now; see: weft events',
        details: { errno },
      },
    );
  const isGone =
    error.code === 'timeout' ||
    error.message.includes('connect to the cluster') ||
    error.message.includes('error connecting') ||
    error.message.includes('failed to fetch mon config') ||
    (errno !== undefined && UNREACHABLE.has(errno) && error.message.includes('connect'));
  if (isGone)
    return new WeftError(
      'host-unreachable',
      `the Ceph cluster of pool ${pool.name} does not answer client.${pool.user}`,
      {
        remedy: `Look at it with: ceph --conf ${pool.conf} --id ${pool.user} -s`,
      },
    );
  const what = args.slice(0, 2).filter((each) => !each.startsWith('-'));
  const why = error.message.slice(error.message.indexOf(': ') + 2);
  return new WeftError('command-failed', `${program} ${what.join(' ')}: ${lastLine(why)}`, {
    ...(errno === undefined ? {} : { details: { errno } }),
    cause: error,
  });
}

/** What `rbd` does not say in words, it ends with. */
function errnoOf(program: Program, { message, details }: WeftError): string | undefined {
  const said = ERRNO.exec(message)?.[1];
  return said ?? (program === 'rbd' && Number(details?.exitCode) > 1 ? String(details?.exitCode) : undefined);
}

const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? text;

export const isMissing = (error: unknown): boolean =>
  error instanceof WeftError && error.details?.errno === NO_SUCH;

export const isThereAlready = (error: unknown): boolean =>
  error instanceof WeftError && error.details?.errno === EXISTS;

export const isBusy = (error: unknown): boolean =>
  error instanceof WeftError && BUSY.has(String(error.details?.errno));

function nullIfMissing(error: unknown): null {
  if (isMissing(error)) return null;
  throw error;
}
