import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import ssh2 from 'ssh2';
import { WeftError } from '../kit/errors.ts';
import { untilReady } from '../kit/ssh-ready.ts';
import { quote } from './quote.ts';

export interface SshTarget {
  readonly host: string;
  readonly user: string;
  readonly privateKey: string;
  /** The one public key that the guest may show, OpenSSH form; null: whichever it shows. */
  readonly hostPublicKey: string | null;
}

export interface RunResult {
  readonly exitCode: number;
  /** The last 64 KiB of each. */
  readonly stdout: string;
  readonly stderr: string;
}

const KEPT_BYTES = 65_536;
/** ssh2's word for a channel that opened and whose command was refused. */
const REFUSED = 'Unable to exec';
const NO_SUBSYSTEM = 'Unable to start subsystem';
const EXEC_TRIES = 10;
const EXEC_PAUSE_MS = 50;
const KEEP_ALIVE_MS = 2_000;
const KEEP_ALIVES_MISSED = 5;
const SILENT = new Set(['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ETIMEDOUT', 'ENETUNREACH', 'EPIPE']);

/** One SSH connection to a guest, over which everything runs in channels of its own. The guest's words are untrusted: what is kept of them is bounded. */
export class SshSession {
  readonly #client: ssh2.Client;
  readonly #user: string;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;
  #isClosed = false;

  /** @throws WeftError `guest-unreachable`; `forbidden` when another host key is shown: somebody else is there. */
  static async open(target: SshTarget, limitMs: number): Promise<SshSession> {
    const client = new ssh2.Client();
    const expected = target.hostPublicKey?.split(' ')[1];
    let foreign = false;
    const ready = untilReady(client);
    client.connect({
      host: target.host,
      username: target.user,
      privateKey: target.privateKey,
      readyTimeout: limitMs,
      keepaliveInterval: KEEP_ALIVE_MS,
      keepaliveCountMax: KEEP_ALIVES_MISSED,
      hostVerifier: (key: Buffer) => {
        foreign = expected !== undefined && key.toString('base64') !== expected;
        return !foreign;
      },
      algorithms: {
        kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256'],
        ...(expected === undefined ? {} : { serverHostKey: ['ssh-ed25519'] }),
      },
    });
    try {
      await ready;
    } catch (thrown) {
      client.destroy();
      if (foreign)
        throw new WeftError('forbidden', `${target.host} shows another host key than the one made for it`);
      const error = thrown as Error & { code?: string };
      throw new WeftError('guest-unreachable', `no SSH at ${target.host}: ${error.message}`, {
        cause: error,
        details: { silent: SILENT.has(error.code ?? '') },
      });
    }
    return new SshSession(client, target.user);
  }

  private constructor(client: ssh2.Client, user: string) {
    this.#client = client;
    this.#user = user;
    this.closed = new Promise((resolve) =>
      client.once('close', () => {
        this.#isClosed = true;
        resolve();
      }),
    );
    client.on('error', () => client.destroy());
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Runs a command line of ours in the guest's shell, as root. Whatever a user wrote goes in through `input`, never in the command.
   * @param input text or bytes for its standard input.
   * @param onLine each line of its standard output.
   */
  run(
    command: string,
    options: { input?: string | Readable; timeoutMs?: number; onLine?: (line: string) => void } = {},
  ): Promise<RunResult> {
    return new Promise((resolve, reject) => {
      let close = () => {};
      // From now on, not from the channel's opening: that is the guest's to answer, too.
      const timer =
        options.timeoutMs === undefined
          ? null
          : setTimeout(() => {
              close();
              reject(new WeftError('timeout', `the guest did not finish within ${options.timeoutMs} ms`));
            }, options.timeoutMs);
      this.#exec(asRoot(this.#user, command), (error, channel) => {
        if (error) {
          if (timer) clearTimeout(timer);
          reject(lost(error));
          return;
        }
        close = () => channel.close();
        const stdout = new Tail(options.onLine);
        const stderr = new Tail();
        let exitCode: number | null = null;
        channel.on('data', (chunk: Buffer) => stdout.add(chunk));
        channel.stderr.on('data', (chunk: Buffer) => stderr.add(chunk));
        channel.on('exit', (code: number | null) => {
          exitCode = code ?? 255;
        });
        channel.on('close', () => {
          if (timer) clearTimeout(timer);
          if (exitCode === null) reject(lost(new Error('the connection ended')));
          else resolve({ exitCode, stdout: stdout.text(), stderr: stderr.text() });
        });
        if (options.input === undefined || typeof options.input === 'string')
          channel.end(options.input ?? '');
        else
          pipeline(options.input, channel).catch((failure: unknown) => {
            channel.close();
            reject(failure);
          });
      });
    });
  }

  /**
   * Writes a new file by SFTP, of mode 0600, as the user who logs in.
   * @returns false when the guest offers no SFTP; `content` is not called then.
   * @throws WeftError `task-failed` when the guest cannot take it, `guest-unreachable`, `timeout`.
   */
  async upload(path: string, content: () => Readable, timeoutMs: number): Promise<boolean> {
    const sftp = await this.#sftp();
    if (sftp === null) return false;
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), timeoutMs);
    try {
      await pipeline(content(), sftp.createWriteStream(path, { flags: 'wx', mode: 0o600 }), {
        signal: limit.signal,
      });
      return true;
    } catch (error) {
      if (limit.signal.aborted)
        throw new WeftError('timeout', `the guest did not take ${path} within ${timeoutMs} ms`);
      // An answer of the server's has a status; anything else is the connection's end or the content's own failure.
      if (typeof (error as { code?: unknown }).code === 'number')
        throw new WeftError('task-failed', `the guest did not take ${path}: ${(error as Error).message}`, {
          remedy: 'Is there room on its disk? See the size of the role.',
        });
      throw error instanceof WeftError ? error : lost(error as Error);
    } finally {
      clearTimeout(timer);
      sftp.end();
    }
  }

  #sftp(): Promise<ssh2.SFTPWrapper | null> {
    return new Promise((resolve, reject) => {
      this.#client.sftp((error, sftp) => {
        if (!error) resolve(sftp);
        else if (error.message.startsWith(NO_SUBSYSTEM)) resolve(null);
        else reject(lost(error));
      });
    });
  }

  /** A server may refuse a command for a moment, dropbear while another one ends. Nothing has run then: it is asked again. */
  #exec(command: string, callback: ssh2.ClientCallback, tries = EXEC_TRIES): void {
    try {
      this.#client.exec(command, (error, channel) => {
        if (error?.message === REFUSED && tries > 1)
          setTimeout(() => this.#exec(command, callback, tries - 1), EXEC_PAUSE_MS);
        else callback(error, channel);
      });
    } catch (error) {
      // It throws when the connection has ended, which it may have since it was last asked.
      callback(error as Error, NO_CHANNEL);
    }
  }

  end(): void {
    this.#client.end();
    this.#client.destroy();
  }
}

/** Beside an error nobody looks at the channel. */
const NO_CHANNEL = undefined as unknown as ssh2.ClientChannel;

/** Cloud images let nobody log in as root; their user becomes root without a password. */
export const asRoot = (user: string, command: string): string =>
  user === 'root' ? command : `sudo -n sh -c ${quote(command)}`;

const lost = (error: Error) =>
  new WeftError('guest-unreachable', `the connection to the guest broke: ${error.message}`, { cause: error });

/** The last bytes of a stream, and its lines as they come. */
class Tail {
  readonly #onLine: ((line: string) => void) | undefined;
  #bytes = Buffer.alloc(0);
  #line = '';

  constructor(onLine?: (line: string) => void) {
    this.#onLine = onLine;
  }

  add(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]).subarray(-KEPT_BYTES);
    if (!this.#onLine) return;
    const lines = (this.#line + chunk.toString('utf8')).split('\n');
    this.#line = (lines.pop() ?? '').slice(-KEPT_BYTES);
    for (const line of lines) this.#onLine(line);
  }

  text(): string {
    return this.#bytes.toString('utf8');
  }
}
