import type { Clock } from '../kit/clock.ts';
import type { Step, StepName, TaskResult } from '../protocol/index.ts';
import type { GuestProgress } from './contract.ts';

type GuestStep = Extract<StepName, 'package' | 'startup' | 'start'>;

/** Keeps a guest's progress and tells it whenever it has changed. */
export class ProgressBook {
  readonly #clock: Clock;
  readonly #tell: (progress: GuestProgress) => void;
  readonly #begunAtMs: number;
  readonly #steps = new Map<StepName, Step>();
  #tasks: readonly TaskResult[] = [];
  #role: TaskResult | null = null;
  #phase: GuestProgress['phase'] = 'booting';
  #sshMs: number | null = null;
  #boots = 1;

  constructor(clock: Clock, tell: (progress: GuestProgress) => void) {
    this.#clock = clock;
    this.#tell = tell;
    this.#begunAtMs = clock.now();
  }

  get phase(): GuestProgress['phase'] {
    return this.#phase;
  }

  /** The first SSH command has run. */
  answered(): void {
    this.#sshMs ??= this.#clock.now() - this.#begunAtMs;
    this.#changed();
  }

  bootedAgain(): void {
    this.#boots++;
    this.#tasks = [];
    this.setPhase('booting');
  }

  setPhase(phase: GuestProgress['phase']): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#changed();
  }

  setTasks(tasks: readonly TaskResult[]): void {
    this.#tasks = tasks;
    this.#changed();
  }

  /** The role's own process shows among the tasks, as `start`. */
  setRole(output: string, starts: number): void {
    this.#role = {
      name: 'start',
      kind: 'background',
      status: 'running',
      exitCode: null,
      attempts: starts,
      startedAtMs: this.#role?.startedAtMs ?? this.#clock.now(),
      ms: 0,
      output,
    };
    this.#changed();
  }

  setDetail(name: GuestStep, detail: string): void {
    const step = this.#steps.get(name);
    if (!step || step.detail === detail) return;
    this.#steps.set(name, { ...step, detail: detail.slice(0, 2048) });
    this.#changed();
  }

  skip(name: GuestStep): void {
    this.#steps.set(name, { name, status: 'skipped', startedAtMs: this.#clock.now(), ms: 0 });
  }

  /** Times a step; what it throws becomes its detail. */
  async step(name: GuestStep, work: () => Promise<void>): Promise<void> {
    const startedAtMs = this.#clock.now();
    this.#steps.set(name, { name, status: 'running', startedAtMs, ms: 0 });
    this.#changed();
    const end = (status: 'done' | 'failed', detail?: string) => {
      const ms = this.#clock.now() - startedAtMs;
      this.#steps.set(name, {
        name,
        status,
        startedAtMs,
        ms,
        ...(detail ? { detail: detail.slice(0, 2048) } : {}),
      });
      this.#changed();
    };
    try {
      await work();
      end('done');
    } catch (error) {
      end('failed', error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  #changed(): void {
    this.#tell({
      phase: this.#phase,
      steps: [...this.#steps.values()],
      tasks: this.#role ? [...this.#tasks, this.#role] : this.#tasks,
      sshMs: this.#sshMs,
      boots: this.#boots,
    });
  }
}
