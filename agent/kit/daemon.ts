import { spawn } from 'node:child_process';
import { closeSync, openSync, statSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { OwnServer, type ServerMark, signalServer } from './own-server.ts';

const LOG_BYTES = 1024 * 1024;
const LOG_TAIL_BYTES = 16 * 1024;

export interface DaemonOptions {
  readonly server: ServerMark;
  readonly arguments: readonly string[];
  readonly log: string;
  /** Told when one that this agent has started ends. */
  readonly onExit: () => void;
}

/** A server of ours that this agent starts, and that outlives it. */
export class Daemon {
  readonly #options: DaemonOptions;
  readonly #server: OwnServer;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#server = new OwnServer(options.server);
  }

  get isRunning(): boolean {
    return this.#server.find() !== null;
  }

  /** Pids of all its processes. */
  get processes(): readonly number[] {
    return this.#server.processes().map(({ pid }) => pid);
  }

  /** Starts it; whether it stays up shows later. @returns what says whether this one has ended. */
  start(): () => boolean {
    const { server, arguments: args, log, onExit } = this.#options;
    this.trimLog();
    const file = openSync(log, 'a', 0o600);
    try {
      const child = spawn(server.program, [...args], {
        detached: true,
        stdio: ['ignore', file, file],
        cwd: '/',
      });
      let hasEnded = false;
      const end = () => {
        hasEnded = true;
        onExit();
      };
      child.once('error', end).once('exit', end).unref();
      return () => hasEnded;
    } finally {
      closeSync(file);
    }
  }

  /** @returns false when it does not run. */
  signal(signal: NodeJS.Signals): boolean {
    const first = this.#server.find();
    return first !== null && signalServer(first, signal);
  }

  /** How much it has written so far: what follows is what `logSince` gives. */
  get logBytes(): number {
    return sizeOf(this.#options.log);
  }

  /** What makes it say much never fills a disk. */
  trimLog(): void {
    if (this.logBytes > LOG_BYTES) truncateSync(this.#options.log);
  }

  async logSince(bytes: number): Promise<string> {
    const from = Math.max(bytes, this.logBytes - LOG_TAIL_BYTES);
    const file = await open(this.#options.log, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(LOG_TAIL_BYTES), 0, LOG_TAIL_BYTES, from);
      return buffer.subarray(0, bytesRead).toString('utf8');
    } finally {
      await file.close();
    }
  }
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    return 0;
  }
}
