import { randomUUID } from 'node:crypto';
import { isAlive, startTicksOf } from '../kit/processes.ts';
import { type Action, decide, type LeaseNote, type Sight } from './decide.ts';
import type { GuardFolder, GuardNote, MachinesNote } from './notes.ts';
import { findMachines, kill, type MachineProcess } from './qemus.ts';
import { readWatchdogFacts, Watchdog, whyNotDependable } from './watchdog.ts';

export interface GuardOptions {
  readonly folder: GuardFolder;
  readonly bootTimeMs: () => number;
  /** sysfs folder of watchdogs, if not the system's. */
  readonly watchdogClass: string | undefined;
  readonly isVirtualMachine: boolean;
  /** Where processes are looked for, if not in the system's. */
  readonly proc?: string;
  readonly say: (message: string, facts?: Readonly<Record<string, unknown>>) => void;
}

/** How long a guard that was asked to end waits for the controller to know. */
const LEAVE_LIMIT_MS = 10_000;
/** A device that could not be opened is not tried at every round. */
const OPEN_AGAIN_MS = 5_000;
const MOST_STOPPED_KEPT = 50;

/**
 * One round after another: what the agent wrote last, what runs, what to do (`decide`), and doing it. It waits for nobody: what it
 * cannot read it takes for unchanged, and a lease that is not renewed ends.
 */
export class Guard {
  readonly #options: GuardOptions;
  #lease: LeaseNote | null = null;
  #machines: MachinesNote | null = null;
  #watchdog: Watchdog | null = null;
  #notOpenedBecause: string | null = null;
  #openAtMs = 0;
  #leaving: Sight['leaving'] = null;
  /** Killed, and perhaps not dead yet. */
  #dying: readonly MachineProcess[] = [];
  #isStopping = false;
  #word = randomUUID();
  #written = '';
  #neverStops = false;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  /** Asks it to end. It disarms the watchdog when the controller knows, and ends with it armed when the controller cannot be told. */
  leave(): void {
    if (this.#leaving) return;
    this.#word = randomUUID();
    this.#leaving = { word: this.#word, untilMs: this.#options.bootTimeMs() + LEAVE_LIMIT_MS };
  }

  /** @returns whether the process is to end. */
  round(): boolean {
    const { folder } = this.#options;
    this.#lease = folder.read('lease') ?? this.#lease;
    this.#machines = folder.read('machines') ?? this.#machines;
    let actions = decide(this.#sight(null));
    if (actions.includes('stop')) {
      const remaining = this.#stopMachines();
      actions = decide(this.#sight(remaining));
    } else this.#isStopping = false;
    for (const action of actions) this.#do(action);
    this.#tell();
    return actions.includes('end');
  }

  #sight(remaining: number | null): Sight {
    const watchdog = this.#watchdog ? 'open' : this.#machines?.watchdog ? 'closed' : 'none';
    return {
      nowMs: this.#options.bootTimeMs(),
      lease: this.#lease,
      remaining,
      watchdog,
      neverStops: this.#neverStops,
      leaving: this.#leaving,
    };
  }

  #do(action: Action): void {
    switch (action) {
      case 'arm':
        this.#arm();
        break;
      case 'feed':
        this.#watchdog?.feed();
        break;
      case 'disarm':
        this.#disarm();
        break;
      case 'end':
        if (this.#watchdog)
          this.#options.say('ends with the watchdog armed: start it again, or the watchdog resets this host');
        break;
      case 'stop':
        // Done before, and again in the next round.
        break;
    }
  }

  #arm(): void {
    const device = this.#machines?.watchdog;
    const nowMs = this.#options.bootTimeMs();
    if (!device || nowMs < this.#openAtMs) return;
    try {
      this.#neverStops = readWatchdogFacts(device, this.#options.watchdogClass)?.neverStops ?? false;
      this.#watchdog = new Watchdog(device);
      this.#notOpenedBecause = null;
      this.#word = randomUUID();
      this.#options.say('the watchdog is armed', { device });
    } catch (error) {
      this.#openAtMs = nowMs + OPEN_AGAIN_MS;
      const why = (error as NodeJS.ErrnoException).code ?? String(error);
      if (why !== this.#notOpenedBecause)
        this.#options.say('the watchdog could not be opened', { device, why });
      this.#notOpenedBecause = why;
    }
  }

  #disarm(): void {
    const watchdog = this.#watchdog;
    this.#watchdog = null;
    if (!this.#leaving) this.#word = randomUUID();
    try {
      // Said before it is so: nobody takes a device for armed that is not.
      this.#tell();
    } catch (error) {
      this.#watchdog = watchdog;
      throw error;
    }
    watchdog?.disarm();
    this.#options.say('the watchdog is disarmed');
  }

  /** @returns how many still run; null: it is not known which to look for. */
  #stopMachines(): number | null {
    const note = this.#machines;
    if (!note) return null;
    const found = findMachines(note, this.#options.proc);
    const machines = found.filter(({ name }) => name !== '');
    if (!this.#isStopping)
      this.#options.say('the lease has run out', { machines: machines.map(({ name }) => name) });
    this.#isStopping = true;
    const before = new Set(this.#dying.map(keyOf));
    const fresh = machines.filter((each) => !before.has(keyOf(each)));
    // Written first: an agent that sees a machine end can find out why.
    if (fresh.length > 0) this.#noteStopped(fresh);
    for (const each of machines) kill(each);
    this.#dying = [...this.#dying, ...fresh].filter(({ pid, startTicks }) => isAlive(pid, startTicks));
    // One that says nothing is waited for, and not touched: it is ending, or is somebody's that will say in the next round who it is.
    const silent = found.filter((each) => each.name === '' && !before.has(keyOf(each)));
    return this.#dying.length + silent.length;
  }

  #noteStopped(stopped: readonly MachineProcess[]): void {
    const { folder, bootTimeMs, say } = this.#options;
    const atMs = bootTimeMs();
    const known = folder.read('stopped')?.machines ?? [];
    const machines = [...known, ...stopped.map(({ name, pid }) => ({ name, pid, atMs }))];
    try {
      folder.write('stopped', { machines: machines.slice(-MOST_STOPPED_KEPT) });
    } catch (error) {
      say('what was stopped could not be written down', { why: String(error) });
    }
    for (const { name, pid } of stopped) say('stops a machine', { name, pid });
  }

  #tell(): void {
    const text = JSON.stringify(this.#note());
    if (text === this.#written) return;
    this.#options.folder.write('guard', this.#note());
    this.#written = text;
  }

  #note(): GuardNote {
    const device = this.#machines?.watchdog ?? null;
    const armed = this.#watchdog !== null && this.#leaving === null;
    const { facts, note } = device === null ? { facts: null, note: null } : this.#judge(device);
    return {
      pid: process.pid,
      startTicks: startTicksOf(process.pid) ?? '',
      word: this.#word,
      armed,
      device,
      dependable: device !== null && note === null,
      timeoutMs: facts?.timeoutMs ?? 0,
      identity: facts?.identity ?? '',
      note: this.#watchdog === null && device !== null ? (this.#notOpenedBecause ?? note) : note,
    };
  }

  #judge(device: string) {
    const { watchdogClass, isVirtualMachine } = this.#options;
    try {
      const facts = readWatchdogFacts(device, watchdogClass);
      return { facts, note: whyNotDependable(facts, isVirtualMachine) };
    } catch (error) {
      return { facts: null, note: (error as NodeJS.ErrnoException).code ?? String(error) };
    }
  }
}

const keyOf = ({ pid, startTicks }: MachineProcess): string => `${pid} ${startTicks}`;
