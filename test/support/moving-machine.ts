import { expect } from 'vitest';
import { supervisedPid } from '../lab/host.ts';
import type { GoldenLab } from './golden-lab.ts';
import { GuestWriter } from './guest-writer.ts';
import { isReady, rowOf, waitForOneQemu } from './hosts.ts';
import { waitFor } from './wait-for.ts';
import type { PsRow } from './weft.ts';

export const HOSTS = ['h1', 'h2', 'h3'] as const;

export const otherThan = (host: unknown): string => HOSTS.find((name) => name !== host) ?? 'h1';

interface MoveEvent {
  readonly sequence: number;
  readonly kind: string;
  readonly subject: string;
  readonly message: string;
}
export type MovingRow = PsRow & {
  readonly successor: { readonly host: string; readonly state: string } | null;
  readonly lastMove: {
    readonly downtimeMs: number | null;
    readonly totalMs: number | null;
    readonly way?: 'direct' | 'relayed';
  } | null;
};

/** A move that has begun. */
export interface Way {
  readonly from: string;
  readonly to: string;
  /** What the guest had acknowledged before. */
  readonly written: number;
  /** The last event before it. */
  readonly begun: number;
}

/** A machine of a lab of three hosts that is moved while a writer runs in its guest. */
export class MovingMachine {
  readonly writer: GuestWriter;
  readonly #golden: GoldenLab;
  readonly #id: string;
  readonly #restLimitMs: number | undefined;
  #boot = '';

  /** @param restLimitMs it comes to rest within this time; default: as everything is waited for. */
  constructor(golden: GoldenLab, id: string, restLimitMs?: number) {
    this.#golden = golden;
    this.#id = id;
    this.#restLimitMs = restLimitMs;
    this.writer = new GuestWriter(golden.weft, id);
  }

  /** Lets its writer begin, and notes which boot this is. */
  async start(): Promise<void> {
    await this.writer.start();
    this.#boot = await this.bootId();
    await waitFor(
      'the writer to write',
      () => this.writer.acknowledged(),
      (count) => count > 0,
    );
  }

  /** Of the boot that its guest was in when its writer began. */
  get boot(): string {
    return this.#boot;
  }

  bootId(): Promise<string> {
    return this.writer.inside('cat /proc/sys/kernel/random/boot_id');
  }

  async row(): Promise<MovingRow> {
    return rowOf(await this.#golden.weft.ps(), this.#id) as MovingRow;
  }

  /** Ready, on no way, and as wanted. */
  atRest(what = 'it to be at rest', wanted: (found: MovingRow) => boolean = () => true): Promise<MovingRow> {
    return waitFor(
      what,
      () => this.row(),
      (found) => isReady(found) && found.successor === null && wanted(found),
      this.#restLimitMs,
    );
  }

  async events(after: number): Promise<readonly MoveEvent[]> {
    return (await this.#golden.weft.events()).filter(({ sequence }) => sequence > after);
  }

  /** Kinds of what is told of it. */
  async told(after: number): Promise<readonly string[]> {
    return (await this.events(after)).filter(({ subject }) => subject === this.#id).map(({ kind }) => kind);
  }

  async lastEvent(): Promise<number> {
    return (await this.#golden.weft.events()).at(-1)?.sequence ?? 0;
  }

  /** The same boot of the same guest: nothing it was told is written is missing, and it goes on writing. One QEMU has the disk. */
  async expectUnbroken(before: number): Promise<void> {
    expect(await this.bootId()).toBe(this.#boot);
    const after = await this.writer.acknowledged();
    expect(after).toBeGreaterThanOrEqual(before);
    await waitFor(
      'it to go on writing',
      () => this.writer.acknowledged(),
      (count) => count > after,
    );
    await this.writer.expectWritten(await this.writer.acknowledged());
    await waitForOneQemu(this.#golden);
  }

  /** Begins a move that does not end by itself soon, and waits until it is under way. */
  async underWay(...options: string[]): Promise<Way> {
    const { host: from } = await this.atRest();
    const to = otherThan(from);
    const written = await this.writer.acknowledged();
    const begun = await this.lastEvent();
    await this.#golden.weft.ok(['move', this.#id, '--to', to, ...options]);
    await waitFor(
      'it to be on its way',
      () => this.events(begun),
      (told) => told.some(({ kind }) => kind === 'vm-migrating'),
      180_000,
      100,
    );
    return { from: String(from), to, written, begun };
  }

  /** Kills the agent that takes it, and waits until the move is told as failed. */
  async killTaker({ to, begun }: Way): Promise<void> {
    await this.#killAgent(to);
    await waitFor(
      'it to be told as failed',
      () => this.events(begun),
      (told) => told.some(({ kind }) => kind === 'vm-move-failed'),
    );
  }

  /** Kills the agent that gives it, and waits until there is another one. */
  async killGiver({ from }: Way): Promise<void> {
    const host = await this.#golden.lab.host(from);
    const before = await this.#killAgent(from);
    await waitFor(
      'another agent to run',
      () => supervisedPid(host, 'weft-agent').catch(() => before),
      (pid) => pid !== before,
    );
  }

  async #killAgent(name: string): Promise<number> {
    const pid = await supervisedPid(await this.#golden.lab.host(name), 'weft-agent');
    process.kill(pid, 'SIGKILL');
    return pid;
  }
}
