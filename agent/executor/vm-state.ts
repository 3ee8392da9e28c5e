import type { GuestProgress } from '../guest/contract.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import {
  type Failure,
  LIVES_OF_A_CRASH_LOOP,
  type RestartCause,
  type Step,
  type VmPhase,
  type VmReport,
  type VmSecrets,
} from '../protocol/index.ts';
import type { Landing } from './landings.ts';
import type { VmMemory } from './plan.ts';
import { RestartBook } from './restarts.ts';
import { StepTimer } from './step-timer.ts';

/** One power cycle of a guest is told as several resets, up to hundreds of milliseconds apart: its firmware resets once more. */
const RESET_SETTLES_MS = 5_000;

/** So long what ran when the agent began has to show that it still works, from when it can be asked, ms. */
const FOUND_LIMIT_MS = 60_000;

/** What this agent knows of one incarnation of one VM, and reports. */
export class VmState {
  readonly id: string;
  readonly incarnation: number;
  readonly timer: StepTimer;
  readonly #clock: Clock;
  #watchedSinceMs: number | null = null;
  /** Ends the time that what was found running has. */
  #foundLimit: Timer | null = null;
  #phase: VmPhase = 'queued';
  rebootGeneration: number;
  failure: Failure | null = null;
  overlay: string | null = null;
  /** How it came here with its disk, while it ran; null: it did not, or that is not known. */
  arrival: Landing | null = null;
  notBeforeMs = 0;
  /** A newer incarnation than this one that runs here; null: none. */
  newerFound: number | null = null;
  /** Guest progress of the supervision that runs or ran last. */
  progress: GuestProgress | null = null;
  supervision: AbortController | null = null;
  /** It was seen running, and its end was not looked into yet. */
  alive = false;
  /** Since when its probe fails, after it had passed; null: it does not. */
  unreadySinceMs: number | null = null;
  /** What it is to be taken down for although it runs; null: nothing. */
  condemned: RestartCause | null = null;
  /** The next reset is one that was asked for. */
  resetAsked = false;
  /** It ran before this agent knew of it, and goes on with what it began then. */
  #goesOn = true;
  /** Until then a reset is part of the one before, Unix ms. */
  #resetSettledMs = 0;
  readonly restarts = new RestartBook();
  readonly #life = new AbortController();
  #giveSlotBack: (() => void) | null = null;
  #secrets: VmSecrets | null = null;
  #starts = 0;

  constructor(id: string, incarnation: number, rebootGeneration: number, clock: Clock) {
    this.id = id;
    this.incarnation = incarnation;
    this.rebootGeneration = rebootGeneration;
    this.#clock = clock;
    this.timer = new StepTimer(clock);
  }

  get phase(): VmPhase {
    return this.#phase;
  }

  set phase(phase: VmPhase) {
    this.#phase = phase;
    const nowMs = this.#clock.now();
    if (this.alive) this.restarts.note(phase === 'ready', nowMs);
    this.unreadySinceMs = phase === 'unready' ? (this.unreadySinceMs ?? nowMs) : null;
  }

  /** Too short lives in a row for one that another host might take. */
  get isLooping(): boolean {
    return this.restarts.shortLives >= LIVES_OF_A_CRASH_LOOP;
  }

  /** Aborts when this incarnation is over: superseded, or named by the goal no more. */
  get life(): AbortSignal {
    return this.#life.signal;
  }

  end(): void {
    this.stopSupervision();
    this.#foundLimit?.cancel();
    this.#life.abort(new WeftError('conflict', `${this.id} is past incarnation ${this.incarnation}`));
  }

  /**
   * The guest's keys: asked for once, and then had for as long as this incarnation lives here, also while the controller is away.
   * They are in memory only; an agent that begins anew asks again.
   */
  async secrets(fetch: () => Promise<VmSecrets>): Promise<VmSecrets> {
    this.#secrets ??= await fetch();
    return this.#secrets;
  }

  /** Keeps a boot slot until the guest answers, goes down or is no longer watched. */
  holdSlot(giveBack: () => void): void {
    this.giveSlotBack();
    this.#giveSlotBack = giveBack;
  }

  giveSlotBack(): void {
    this.#giveSlotBack?.();
    this.#giveSlotBack = null;
  }

  beginSupervision(): AbortController {
    this.supervision = new AbortController();
    this.alive = true;
    return this.supervision;
  }

  /** It is about to begin anew, as it was asked to. */
  willReset(): void {
    this.resetAsked = true;
    this.#goesOn = false;
  }

  /** A domain start was made now. */
  started(): void {
    this.#goesOn = false;
    this.#starts++;
    this.alive = true;
    this.restarts.begin();
  }

  /** The guest went down unasked; it is started again, later if it does so again and again. */
  wentDown(end: Parameters<RestartBook['end']>[0]): void {
    this.#goesOn = false;
    this.stopSupervision();
    const nowMs = this.#clock.now();
    this.notBeforeMs = nowMs + this.restarts.end(end, nowMs);
    this.alive = false;
    this.condemned = null;
    // It waits for a lease of its host, perhaps for long.
    this.phase = end.cause === 'lease' ? 'stopped' : 'booting';
  }

  /** The guest was reset; it boots again by itself. An instance that does so again and again before it has lived is condemned. */
  wasReset(message: string, isInstance: boolean): void {
    const nowMs = this.#clock.now();
    this.#goesOn = false;
    if (nowMs < this.#resetSettledMs) return;
    this.#resetSettledMs = nowMs + RESET_SETTLES_MS;
    if (this.resetAsked) {
      this.resetAsked = false;
      return;
    }
    this.restarts.end({ cause: 'reset', message }, nowMs);
    this.restarts.begin();
    if (this.isLooping && isInstance) this.condemned = 'reset';
  }

  /** What was condemned for its resets is down; they were counted as they came. */
  takenDown(end: { consoleTail: string | null; picture: boolean }): void {
    this.stopSupervision();
    this.restarts.keep(end);
    this.alive = false;
    this.condemned = null;
  }

  /** It was asked to stop: its end is no news. */
  stopped(): void {
    this.stopSupervision();
    this.alive = false;
  }

  stopSupervision(): void {
    this.giveSlotBack();
    this.supervision?.abort();
    this.supervision = null;
  }

  fail(error: WeftError, consoleTail: string | null): void {
    this.phase = 'failed';
    this.timer.failRunning(error.message);
    this.failure = {
      code: error.code,
      message: error.message.slice(0, 4096),
      ...(error.remedy === undefined ? {} : { remedy: error.remedy.slice(0, 1024) }),
      ...(consoleTail === null ? {} : { consoleTail }),
    };
  }

  /** For the planner. */
  memory(): VmMemory {
    return {
      incarnation: this.incarnation,
      failed: this.phase === 'failed',
      supervised: this.supervision !== null,
      alive: this.alive,
      unreadySinceMs: this.unreadySinceMs,
      condemned: this.condemned,
      notBeforeMs: this.notBeforeMs,
    };
  }

  report(): VmReport {
    const restarts = this.restarts.report();
    return {
      id: this.id,
      incarnation: this.incarnation,
      phase: this.phase,
      rebootGeneration: this.rebootGeneration,
      steps: this.#steps(),
      tasks: [...(this.progress?.tasks ?? [])],
      ...(this.failure === null ? {} : { failure: this.failure }),
      ...(this.overlay === null ? {} : { overlay: this.overlay }),
      ...(this.arrival === null ? {} : { arrival: this.arrival }),
      ...(restarts === null ? {} : { restarts }),
      ...(this.#wasFoundRunning ? { foundRunning: true } : {}),
      boots: Math.max(this.#starts, this.progress?.boots ?? 0),
      ...(this.newerFound === null ? {} : { newerFound: this.newerFound }),
    };
  }

  /** Its guest can be looked at from now on. `told` is called when what was found running has had its time. */
  watched(told: () => void): void {
    if (this.#watchedSinceMs !== null || !this.#goesOn || this.life.aborted) return;
    this.#watchedSinceMs = this.#clock.now();
    this.#foundLimit = this.#clock.after(FOUND_LIMIT_MS, told);
  }

  /** What is watched and has not been ready here yet; one that was seen to boot is not what it was before. */
  get #wasFoundRunning(): boolean {
    const isComing = this.phase === 'booting' || this.phase === 'starting';
    const isLate =
      this.#watchedSinceMs !== null && this.#clock.now() >= this.#watchedSinceMs + FOUND_LIMIT_MS;
    return this.#goesOn && this.alive && isComing && !isLate && (this.progress?.boots ?? 0) <= 1;
  }

  #steps(): Step[] {
    return [...this.timer.steps(), ...(this.progress?.steps ?? []).filter((step) => step.name !== 'boot')];
  }
}
