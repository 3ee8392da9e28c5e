import { randomUUID } from 'node:crypto';
import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import type { Jobs, JobView } from './contract.ts';

export type JobWork = (
  onLine: (line: string) => void,
  signal: AbortSignal,
) => Promise<{ readonly name: string; readonly version: string }>;

const KEPT_LINES = 1_000;
const KEPT_JOBS = 100;

interface Follower {
  readonly onLine: (line: string) => void;
  readonly onEnd: (job: JobView) => void;
}

interface Job {
  view: JobView;
  /** Two jobs of one key never run at once: the second request gets the first's id. */
  readonly key: string | null;
  readonly followers: Set<Follower>;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/** Jobs in memory: running ones, and the latest of the ended. */
export class JobRegistry implements Jobs {
  readonly #clock: Clock;
  readonly #jobs = new Map<string, Job>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Starts the work, or joins the running job of the same key. @returns the job's id. */
  start(kind: JobView['kind'], key: string | null, work: JobWork): string {
    for (const job of this.#jobs.values())
      if (key !== null && job.key === key && job.view.state === 'running') return job.view.id;
    const id = randomUUID();
    const abort = new AbortController();
    const begin = Promise.resolve().then(() => work((line) => this.#line(id, line), abort.signal));
    const ended = begin.then(
      (result) => this.#end(id, { state: 'done', result }),
      (thrown: unknown) => this.#end(id, { state: 'failed', error: errorOf(thrown) }),
    );
    const startedAtMs = this.#clock.now();
    const view: JobView = { id, kind, state: 'running', startedAtMs, lines: [], result: null, error: null };
    this.#jobs.set(id, { view, key, followers: new Set(), abort, ended });
    this.#forget();
    return id;
  }

  get(id: string): JobView | null {
    return this.#jobs.get(id)?.view ?? null;
  }

  follow(id: string, onLine: (line: string) => void, onEnd: (job: JobView) => void): () => void {
    const job = this.#jobs.get(id);
    if (job === undefined) throw new WeftError('not-found', `there is no job ${JSON.stringify(id)}`);
    for (const line of job.view.lines) onLine(line);
    if (job.view.state !== 'running') {
      onEnd(job.view);
      return () => {};
    }
    const follower = { onLine, onEnd };
    job.followers.add(follower);
    return () => void job.followers.delete(follower);
  }

  /** Aborts what runs and waits for it. */
  async close(): Promise<void> {
    const running = [...this.#jobs.values()].filter((job) => job.view.state === 'running');
    for (const job of running) job.abort.abort(new WeftError('internal', 'the controller is stopping'));
    await Promise.all(running.map((job) => job.ended));
  }

  #line(id: string, line: string): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    job.view = { ...job.view, lines: [...job.view.lines, line].slice(-KEPT_LINES) };
    for (const follower of job.followers) follower.onLine(line);
  }

  #end(id: string, outcome: Pick<JobView, 'state'> & Partial<JobView>): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    job.view = { ...job.view, ...outcome };
    for (const follower of job.followers) follower.onEnd(job.view);
    job.followers.clear();
  }

  #forget(): void {
    for (const [id, job] of this.#jobs) {
      if (this.#jobs.size <= KEPT_JOBS) return;
      if (job.view.state !== 'running') this.#jobs.delete(id);
    }
  }
}

function errorOf(thrown: unknown): NonNullable<JobView['error']> {
  const { code, message, remedy } = WeftError.from(thrown);
  return { code, message, ...(remedy === undefined ? {} : { remedy }) };
}
