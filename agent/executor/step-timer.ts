import type { Clock } from '../kit/clock.ts';
import type { Step, StepName } from '../protocol/index.ts';

interface Part {
  readonly name: string;
  readonly ms: number;
  readonly startedAtMs: number;
}

interface Timed {
  readonly startedAtMs: number;
  readonly parts: Part[];
  endedAtMs: number | null;
  status: 'running' | 'done' | 'failed';
  detail: string | null;
}

/** Times the provisioning steps that happen on the host, and the parts they are made of. */
export class StepTimer {
  readonly #clock: Clock;
  readonly #steps = new Map<StepName, Timed>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  begin(name: StepName): void {
    this.#steps.set(name, {
      startedAtMs: this.#clock.now(),
      parts: [],
      endedAtMs: null,
      status: 'running',
      detail: null,
    });
  }

  /** Begun, whatever came of it. */
  has(name: StepName): boolean {
    return this.#steps.has(name);
  }

  isRunning(name: StepName): boolean {
    return this.#steps.get(name)?.status === 'running';
  }

  end(name: StepName, detail: string | null = null): void {
    const step = this.#steps.get(name);
    if (step?.status !== 'running') return;
    step.status = 'done';
    step.endedAtMs = this.#clock.now();
    step.detail = detail;
  }

  detail(name: StepName, detail: string | null): void {
    const step = this.#steps.get(name);
    if (step) step.detail = detail;
  }

  failRunning(why: string): void {
    for (const step of this.#steps.values()) {
      if (step.status !== 'running') continue;
      step.status = 'failed';
      step.endedAtMs = this.#clock.now();
      step.detail = why.slice(0, 2048);
    }
  }

  /** Records a part that took `ms` and ended now. */
  addPart(step: StepName, name: string, ms: number): void {
    this.#steps.get(step)?.parts.push({ name, ms, startedAtMs: this.#clock.now() - ms });
  }

  /** Runs work as a part of a step that has begun. */
  async part<T>(step: StepName, name: string, work: () => Promise<T>): Promise<T> {
    const startedAtMs = this.#clock.now();
    try {
      return await work();
    } finally {
      this.#steps.get(step)?.parts.push({ name, ms: this.#clock.now() - startedAtMs, startedAtMs });
    }
  }

  steps(): Step[] {
    return [...this.#steps].map(([name, step]) => ({
      name,
      status: step.status,
      startedAtMs: step.startedAtMs,
      ms: (step.endedAtMs ?? this.#clock.now()) - step.startedAtMs,
      ...(step.detail === null ? {} : { detail: step.detail }),
      ...(step.parts.length === 0 ? {} : { parts: step.parts }),
    }));
  }
}
