import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LeaseNote } from './decide.ts';

/** Agent and guard speak by files in one folder, and by nothing else: neither ever waits for the other. */
export const DEFAULT_GUARD_FOLDER = '/run/weft/guard';

/** Before Ceph's name of a pool, where other pools have their folder. */
export const RBD_PREFIX = 'rbd:';

/** By the agent: what is to be guarded. */
export interface MachinesNote {
  readonly fleet: string;
  /** Device, or null: none. */
  readonly watchdog: string | null;
  /** Folders of this host's shared pools, or `rbd:` and Ceph's name of one: whatever of ours runs on a machine's disk below them is to be stopped, listed or not. */
  readonly sharedPools: readonly string[];
  /** Machines on shared pools that the agent runs, or is about to start. */
  readonly machines: readonly { readonly name: string; readonly uuid: string }[];
}

/** By the guard: what it is. */
export interface GuardNote {
  readonly pid: number;
  /** Of the process, as in /proc/PID/stat: together with the pid it names one process. */
  readonly startTicks: string;
  /** Another one whenever what follows changes: a guard that ends waits until the controller knows its last word. */
  readonly word: string;
  readonly armed: boolean;
  readonly device: string | null;
  readonly dependable: boolean;
  readonly timeoutMs: number;
  readonly identity: string;
  /** Why the device is not armed, or not dependable; null: it is both. */
  readonly note: string | null;
}

/** By the guard: machines that it has stopped, oldest first. */
export interface StoppedNote {
  readonly machines: readonly { readonly name: string; readonly pid: number; readonly atMs: number }[];
}

export interface Notes {
  readonly lease: LeaseNote;
  readonly machines: MachinesNote;
  readonly guard: GuardNote;
  readonly stopped: StoppedNote;
}

/** What makes a file that was read a note of its kind; who writes it is a program of ours, but it may be of another version. */
const IS_NOTE: { readonly [Kind in keyof Notes]: (note: Partial<Notes[Kind]>) => boolean } = {
  lease: (note) => Number.isFinite(note.untilMs) && typeof note.released === 'boolean',
  machines: (note) =>
    typeof note.fleet === 'string' && Array.isArray(note.sharedPools) && Array.isArray(note.machines),
  guard: (note) => Number.isInteger(note.pid) && typeof note.armed === 'boolean',
  stopped: (note) => Array.isArray(note.machines),
};

/** Where notes are read and written. */
export type NoteFolder = Pick<GuardFolder, 'read' | 'write'>;

/** The files of the folder. All calls block: the folder is in memory (a tmpfs), and a note is a few hundred bytes. */
export class GuardFolder {
  readonly #folder: string;
  readonly #bootId: string;

  constructor(folder: string, bootId: string) {
    this.#folder = folder;
    this.#bootId = bootId;
  }

  /** Null: there is none, it cannot be read, or it is of another boot: its times mean nothing now. */
  read<Kind extends keyof Notes>(kind: Kind): Notes[Kind] | null {
    try {
      const document = JSON.parse(readFileSync(this.#path(kind), 'utf8'));
      return document?.bootId === this.#bootId && IS_NOTE[kind](document) ? document : null;
    } catch {
      return null;
    }
  }

  /** A reader sees the old note or the new one. */
  write<Kind extends keyof Notes>(kind: Kind, note: Notes[Kind]): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const temporary = `${this.#path(kind)}.${process.pid}`;
    writeFileSync(temporary, JSON.stringify({ ...note, bootId: this.#bootId }), { mode: 0o600 });
    renameSync(temporary, this.#path(kind));
  }

  #path(kind: keyof Notes): string {
    return join(this.#folder, `${kind}.json`);
  }
}
