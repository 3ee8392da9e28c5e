import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { pack } from 'tar-stream';
import { folderEntries, inspectPackage } from '../../images/archive/package-archive.ts';
import { WeftError } from '../kit/errors.ts';
import { APP, WEFT } from './guest-scripts.ts';
import type { SshSession } from './ssh-session.ts';

const LIMIT_MS = 1_800_000;

/** On the guest's disk whatever its size; `/tmp` may be memory. */
const UPLOADS = '/var/tmp/weft-package-';

/**
 * Unpacks aside, then swaps: a delivery that breaks off leaves the old folder, or none, never half of one. Uploads go first: its own is
 * open by then, others were left by a delivery that broke off.
 */
const UNPACK = `set -e
rm -f ${UPLOADS}*.tar
cd ${WEFT}
rm -rf app.new
mkdir app.new
tar -x -f - -C app.new
rm -rf app
mv app.new app
echo "$1" >package`;

export interface Delivery {
  /** The verified archive on this host. */
  readonly file: string;
  readonly digest: string;
  /** The role's own folder in it; null: the whole archive. */
  readonly folder: string | null;
  /** The guest seems to have an SFTP server. */
  readonly sftp: boolean;
}

/**
 * Brings the role's own folder of the package into the guest, as a tar made anew from entries that were checked: by SFTP, or
 * straight into `tar` where there is none. A role without a folder in the package gets an empty one.
 * @throws WeftError `invalid-package`, `task-failed`, `guest-unreachable`, `timeout`.
 */
export async function deliverPackage(session: SshSession, delivery: Delivery): Promise<void> {
  const { file, digest, folder } = delivery;
  const { folders } = await inspectPackage(file);
  const content = () => (folder !== null && !folders.includes(folder) ? emptyTar() : tarOf(file, folder));
  const upload = `${UPLOADS}${randomBytes(8).toString('hex')}.tar`;
  const uploaded = delivery.sftp && (await session.upload(upload, content, LIMIT_MS));
  const unpack = `sh -c '${UNPACK}' sh ${digest}`;
  const { exitCode, stderr } = await session.run(uploaded ? `${unpack} <${upload}` : unpack, {
    ...(uploaded ? {} : { input: content() }),
    timeoutMs: LIMIT_MS,
  });
  if (exitCode !== 0)
    throw new WeftError('task-failed', `the package could not be unpacked in ${APP}: ${stderr.slice(-500)}`, {
      remedy: 'Is there room on its disk? See the size of the role.',
    });
}

function emptyTar(): Readable {
  const archive = pack();
  archive.finalize();
  return readable(archive);
}

function tarOf(file: string, folder: string | null): Readable {
  const archive = pack();
  void (async () => {
    try {
      for await (const entry of folderEntries(file, folder)) {
        const header = { name: entry.path, mode: entry.mode, uid: 0, gid: 0 };
        if (entry.type === 'directory') archive.entry({ ...header, type: 'directory' });
        else if (entry.type === 'file') {
          const target = archive.entry({ ...header, size: entry.sizeBytes });
          for await (const chunk of entry.stream) if (!target.write(chunk)) await drained(target);
          target.end(null);
        } else
          archive.entry({
            ...header,
            type: entry.type === 'symlink' ? 'symlink' : 'link',
            linkname: entry.link ?? '',
          });
      }
      archive.finalize();
    } catch (error) {
      archive.destroy(error as Error);
    }
  })();
  return readable(archive);
}

const drained = (stream: { once(event: 'drain', listener: () => void): unknown }) =>
  new Promise<void>((resolve) => void stream.once('drain', resolve));

/** tar-stream's streams are not Node's own, but iterate alike. */
const readable = (archive: AsyncIterable<unknown>): Readable => Readable.from(archive, { objectMode: false });
