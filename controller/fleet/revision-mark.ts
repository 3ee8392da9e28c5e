import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from '../../agent/kit/log.ts';

/** So many revisions are told of between two writes of the mark. */
const STEP = 100;

/**
 * Up to which revision goals may have been sent, in steps, in a file beside the authority's keys and outside of the store: a store that is
 * restored from an older copy is noticed by it.
 */
export class RevisionMark {
  readonly #file: string;
  readonly #log: Logger;
  #mark: number;

  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
    this.#mark = readMark(file);
  }

  /** A store that is at this revision has been at a higher one. */
  isBehind(revision: number): boolean {
    return revision < this.#mark - STEP;
  }

  /** Before a host is told of this revision. Returns when that is durable. What goes wrong is logged: hosts tell of what they know as well. */
  cover(revision: number): void {
    if (revision > this.#mark) this.begin(revision);
  }

  /** Everything is told from this revision on. */
  begin(revision: number): void {
    try {
      const mark = revision + STEP;
      writeMark(this.#file, mark);
      this.#mark = mark;
    } catch (error) {
      this.#log.warn({ err: error }, 'it cannot be written down which revisions hosts are told of');
    }
  }
}

function readMark(file: string): number {
  try {
    const mark = Number(readFileSync(file, 'utf8'));
    return Number.isSafeInteger(mark) ? mark : 0;
  } catch {
    return 0;
  }
}

/** At once: no goal leaves meanwhile. It is a few bytes, once in many revisions. */
function writeMark(file: string, mark: number): void {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.tmp`;
  const handle = openSync(temporary, 'w', 0o644);
  try {
    writeSync(handle, `${mark}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, file);
}
