import { chmod, chown, mkdir, readFile, rm } from 'node:fs/promises';
import { askSerial } from '../kit/ask-serial.ts';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import type { Clock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import { exec } from '../kit/exec.ts';
import { exists } from '../kit/exists.ts';
import { OwnServer } from '../kit/own-server.ts';
import type { NameServer } from './contract.ts';
import {
  composeKnotConfiguration,
  filesOf,
  type KnotSettings,
  knotServer,
  type Listener,
} from './knot-configuration.ts';

const CONTROL = 'knotc';
const PROGRAM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/bin', '/usr/local/bin'];
/** Whom the package makes for it. */
const USER = 'knot';
const LIMIT_MS = 10_000;
/** Of one question to it, on this host; asked twice. */
const ANSWER_LIMIT_MS = 1_000;
const LOOK_EVERY_MS = 20;
const LOG_LINES = 3;

type Settings = Omit<KnotSettings, 'folder' | 'user'>;

/** Knot DNS as an instance of our own: everything of it is in one folder, and the one that a distribution may have started is never touched. */
export class KnotServer implements NameServer {
  readonly #folder: string;
  readonly #files: ReturnType<typeof filesOf>;
  readonly #clock: Clock;
  readonly #mark: ReturnType<typeof knotServer>;
  readonly #server: OwnServer;
  #user: Promise<User | null> | null = null;

  /** @param folder of nothing else; made, and removed with the server. */
  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#files = filesOf(folder);
    this.#clock = clock;
    this.#mark = knotServer(folder);
    this.#server = new OwnServer(this.#mark);
  }

  async missing(): Promise<readonly string[]> {
    const missing: string[] = [];
    for (const name of [this.#mark.program, CONTROL]) {
      const there = await Promise.all(PROGRAM_FOLDERS.map((folder) => exists(`${folder}/${name}`)));
      if (!there.includes(true)) missing.push(name);
    }
    return missing;
  }

  async runsWith(settings: Settings): Promise<boolean> {
    if (this.#server.find() === null) return false;
    const user = await this.#owner();
    return (await readIfThere(this.#files.configuration)) === this.#configuration(settings, user);
  }

  async start(settings: Settings): Promise<void> {
    await this.#server.end(this.#clock);
    const user = await this.#owner();
    await this.#prepareFolder(user);
    await rm(this.#files.log, { force: true });
    await writeFileAtomic(this.#files.configuration, this.#configuration(settings, user));
    // It leaves us by itself: it is nobody's child when the program that starts it has ended.
    const words = ['-c', this.#files.configuration, `--daemonize=${this.#folder}`];
    await exec(this.#mark.program, words, { timeoutMs: LIMIT_MS, cwd: '/' });
    for (let waited = 0; !(await this.#answersToUs()); waited += LOOK_EVERY_MS) {
      if (this.#server.find() === null || waited > LIMIT_MS) throw await this.#failure('did not start');
      await this.#clock.sleep(LOOK_EVERY_MS);
    }
  }

  async reload(zone: string): Promise<void> {
    await exec(CONTROL, ['-s', this.#files.socket, '-b', 'zone-reload', `${zone}.`], { timeoutMs: LIMIT_MS });
  }

  async serial(zone: string, listener: Listener): Promise<number> {
    try {
      return await askSerial(zone, listener, { timeoutMs: ANSWER_LIMIT_MS, tries: 2 });
    } catch (error) {
      const { address, port } = listener;
      throw await this.#failure(`does not answer at ${address} port ${port}`, error);
    }
  }

  async remove(): Promise<void> {
    await this.#server.end(this.#clock);
    await rm(this.#folder, { recursive: true, force: true });
  }

  readZone(): Promise<string | null> {
    return readIfThere(this.#files.zone);
  }

  async writeZone(text: string): Promise<void> {
    await this.#prepareFolder(await this.#owner());
    await writeFileAtomic(this.#files.zone, text);
  }

  #owner(): Promise<User | null> {
    this.#user ??= userOf(USER).catch((error: unknown) => {
      this.#user = null;
      throw error;
    });
    return this.#user;
  }

  /** Only its user gets in: its control socket is there. */
  async #prepareFolder(user: User | null): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await chmod(this.#folder, 0o700);
    if (user) await chown(this.#folder, user.uid, user.gid);
  }

  #configuration(settings: Settings, user: User | null): string {
    return composeKnotConfiguration({ ...settings, folder: this.#folder, user: user && `${USER}:${USER}` });
  }

  async #answersToUs(): Promise<boolean> {
    const options = { timeoutMs: LIMIT_MS, okExitCodes: [0, 1] };
    return (await exec(CONTROL, ['-s', this.#files.socket, 'status'], options)).exitCode === 0;
  }

  async #failure(what: string, cause?: unknown): Promise<WeftError> {
    const lines = ((await readIfThere(this.#files.log)) ?? '').trim().split('\n').slice(-LOG_LINES);
    const words = lines.map((line) => line.replace(/^\S+ (warning|error|critical): /, '')).join('; ');
    return new WeftError('command-failed', `the name server ${what}${words ? `: ${words}` : ''}`, { cause });
  }
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Null where there is none, or where nobody but root could become it. */
async function userOf(name: string): Promise<User | null> {
  if (process.getuid?.() !== 0) return null;
  const { stdout, exitCode } = await exec('getent', ['passwd', name], {
    timeoutMs: LIMIT_MS,
    okExitCodes: [0, 2],
  });
  const [, , uid, gid] = stdout.trim().split(':');
  return exitCode === 0 ? { uid: Number(uid), gid: Number(gid) } : null;
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
