import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { exec } from '../../agent/kit/exec.ts';
import { runInGuest } from '../../controller/cli/guest-command.ts';
import {
  type BackupRow,
  type Dossier,
  type EndpointRow,
  type EventRow,
  type HostRow,
  WeftClient,
} from '../../controller/client/index.ts';
import { REPOSITORY } from '../lab/layout.ts';

/** Of a checkout: it runs the sources. That takes a processor more than twice as long as what is built. */
const COMMAND = [join(REPOSITORY, 'controller/cli/weft.mjs')];
/** As it is installed, built when a lab comes up. */
export const BUILT_COMMAND = [join(REPOSITORY, 'dist/controller/cli/main.js')];

const INSIDE_LIMIT_MS = 180_000;

/** A row of `weft ps --json`. */
export interface PsRow {
  readonly id: string;
  readonly app: string;
  readonly role: string | null;
  readonly index: number | null;
  readonly kind: string;
  readonly host: string | null;
  readonly state: string;
  readonly address: string | null;
  readonly image: string | null;
  readonly incarnation: number;
  readonly overlay: string | null;
}

export interface TimelineStep {
  readonly name: string;
  readonly status: string;
  readonly startedAtMs: number;
  readonly ms: number;
  readonly parts?: readonly { readonly name: string; readonly ms: number }[];
}

/** The real `weft` command, run as a person would run it. */
export class Weft {
  readonly #config: string;
  readonly #command: readonly string[];

  constructor(config: string, command: readonly string[] = COMMAND) {
    this.#config = config;
    this.#command = command;
  }

  /** Runs a command and gives what it printed; any exit code is an answer. */
  async run(args: readonly string[], options: { timeoutMs?: number; input?: string } = {}) {
    return exec(process.execPath, [...this.#command, ...args], {
      env: { WEFT_CONFIG: this.#config },
      timeoutMs: options.timeoutMs ?? 120_000,
      okExitCodes: Array.from({ length: 256 }, (_, code) => code),
      ...(options.input === undefined ? {} : { input: options.input }),
    });
  }

  /** Runs a command that must succeed. */
  async ok(args: readonly string[], options: { timeoutMs?: number; input?: string } = {}): Promise<string> {
    const result = await this.run(args, options);
    if (result.exitCode !== 0)
      throw new Error(
        `weft ${args.join(' ')} ended with ${result.exitCode}:\n${result.stderr}\n${result.stdout}`,
      );
    return result.stdout;
  }

  async json<T>(args: readonly string[], options: { timeoutMs?: number } = {}): Promise<T> {
    return JSON.parse(await this.ok([...args, '--json'], options)) as T;
  }

  ps(app?: string): Promise<readonly PsRow[]> {
    return this.#ask((client) => client.listVms(app));
  }

  hosts(): Promise<readonly HostRow[]> {
    return this.#ask((client) => client.listHosts());
  }

  /** The published ones of an application. */
  endpoints(app: string): Promise<readonly EndpointRow[]> {
    return this.#ask(async (client) => (await client.getApplication(app)).endpoints);
  }

  events(): Promise<readonly EventRow[]> {
    return this.#ask((client) => client.listEvents());
  }

  /** What `weft why` tells of a VM. */
  dossier(id: string): Promise<Dossier> {
    return this.#ask((client) => client.dossier(id));
  }

  /** Those of a machine. */
  backups(id: string): Promise<readonly BackupRow[]> {
    const [app, machine] = id.split('/');
    return this.#ask((client) => client.listBackups(app, machine));
  }

  /** What a command says inside a guest, by what `weft ssh` does. @throws when it fails, or takes minutes. */
  async inside(id: string, command: string): Promise<string> {
    const limit = new Promise<never>((_, reject) => {
      const late = () => reject(new Error(`${id} did not end within ${INSIDE_LIMIT_MS} ms: ${command}`));
      setTimeout(late, INSIDE_LIMIT_MS).unref();
    });
    const { exitCode, stdout } = await this.#ask((client) =>
      Promise.race([runInGuest(client, id, command), limit]),
    );
    if (exitCode !== 0) throw new Error(`in ${id} this ended with ${exitCode}: ${command}\n${stdout}`);
    return stdout.trim();
  }

  /**
   * What `--json` prints of a list is what the API answers. Tests that wait ask many times, and a process for each would take its time
   * from the guests.
   */
  async #ask<T>(question: (client: WeftClient) => Promise<T>): Promise<T> {
    const client = await WeftClient.fromFile(this.#config);
    try {
      return await question(client);
    } finally {
      client.close();
    }
  }

  /** Starts a command that goes on until it is killed; its output is the caller's to read. */
  start(args: readonly string[]): ChildProcess {
    return spawn(process.execPath, [...this.#command, ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, WEFT_CONFIG: this.#config },
    });
  }

  /** Runs a command on this terminal. */
  show(args: readonly string[]): Promise<number> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [...this.#command, ...args], {
        stdio: 'inherit',
        env: { ...process.env, WEFT_CONFIG: this.#config },
      });
      child.on('error', reject);
      child.on('close', (code) => resolve(code ?? 1));
    });
  }
}
