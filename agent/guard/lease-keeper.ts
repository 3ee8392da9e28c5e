import { startTicksOf } from '../kit/processes.ts';
import type { GuardState, Heartbeat, Lease } from '../protocol/index.ts';
import type { GuardNote, MachinesNote, NoteFolder } from './notes.ts';

export interface LeaseKeeperOptions {
  readonly folder: NoteFolder;
  readonly bootTimeMs: () => number;
  readonly leaseMs: number;
  /** What the guard is to know; null: not known yet, and what it knows is left alone. */
  readonly machines: () => MachinesNote | null;
  /** The lease is held again after it was not. */
  readonly onHeld: () => void;
}

/** Heartbeats whose answers are still waited for. */
const MOST_ASKED = 64;

/**
 * The agent's half of the guard: asks the controller for leases, and hands them on. A lease counts from the moment at which the
 * heartbeat was sent that it answers, so it never ends later here than the controller believes, however long the answer took.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #asked = new Map<number, { readonly sentMs: number; readonly word: string | null }>();
  /** Stopped before this agent began: not its news. */
  readonly #known: Set<string>;
  #sequence = 0;
  #untilMs: number;
  #wasHeld: boolean;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    const { folder, leaseMs, bootTimeMs } = options;
    this.#known = new Set((folder.read('stopped')?.machines ?? []).map(keyOf));
    const before = folder.read('lease');
    // The agent before this one may have asked for longer leases. The controller is told how long they are only after this.
    this.#untilMs = before?.released === false ? Math.min(before.untilMs, bootTimeMs() + leaseMs) : 0;
    if (before && this.#untilMs !== before.untilMs)
      folder.write('lease', { ...before, untilMs: this.#untilMs });
    this.#wasHeld = this.isHeld();
  }

  isHeld(): boolean {
    return this.#options.bootTimeMs() < this.#untilMs;
  }

  /** What the controller is told of the guard. A guard that does not run has armed nothing that one could rely on. */
  state(): GuardState {
    return stateOf(this.#options.leaseMs, this.#guard());
  }

  /** The next heartbeat; the moment is noted before anything else is done. */
  beat(): Heartbeat {
    const sentMs = this.#options.bootTimeMs();
    const machines = this.#options.machines();
    if (machines) this.#options.folder.write('machines', machines);
    const guard = this.#guard();
    const sequence = ++this.#sequence;
    this.#asked.set(sequence, { sentMs, word: guard?.word ?? null });
    this.#asked.delete(sequence - MOST_ASKED);
    this.#wasHeld = this.isHeld();
    return { type: 'heartbeat', sequence, guard: stateOf(this.#options.leaseMs, guard) };
  }

  granted({ sequence, leaseMs }: Lease): void {
    const asked = this.#asked.get(sequence);
    if (!asked) return;
    this.#asked.delete(sequence);
    this.#untilMs = Math.max(this.#untilMs, asked.sentMs + leaseMs);
    this.#options.folder.write('lease', { untilMs: this.#untilMs, released: false, toldWord: asked.word });
    const isBack = !this.#wasHeld && this.isHeld();
    this.#wasHeld = this.isHeld();
    if (isBack) this.#options.onHeld();
  }

  /** Whether the guard has stopped this domain since this agent began; each time is told once. */
  takeStopped(name: string): boolean {
    const fresh = (this.#options.folder.read('stopped')?.machines ?? []).filter(
      (each) => each.name === name && !this.#known.has(keyOf(each)),
    );
    for (const each of fresh) this.#known.add(keyOf(each));
    return fresh.length > 0;
  }

  #guard(): GuardNote | null {
    const note = this.#options.folder.read('guard');
    return note && startTicksOf(note.pid) === note.startTicks ? note : null;
  }
}

/** Tells a guard that may still run that nothing is to be guarded any more. Only when the controller knows. */
export function releaseGuard(folder: NoteFolder): void {
  if (folder.read('lease')?.released === false)
    folder.write('lease', { untilMs: 0, released: true, toldWord: null });
}

const keyOf = ({ name, pid, atMs }: { name: string; pid: number; atMs: number }) => `${name} ${pid} ${atMs}`;

function stateOf(leaseMs: number, guard: GuardNote | null): GuardState {
  if (!guard) return { leaseMs, running: false, watchdog: null };
  if (guard.device === null) return { leaseMs, running: true, watchdog: null };
  const { armed, dependable, timeoutMs, identity, note } = guard;
  return {
    leaseMs,
    running: true,
    watchdog: {
      armed,
      dependable,
      timeoutMs,
      identity: identity.slice(0, 128),
      ...(note === null ? {} : { note: note.slice(0, 256) }),
    },
  };
}
