import { Listr, ListrLogger, ProcessOutput } from 'listr2';
import { seconds } from './output.ts';
import type { Progress, ProgressRow } from './progress.ts';

const DRAWN_EVERY_MS = 500;
/** Left of the terminal to the title, the prompt and what stands above. */
const OTHER_LINES = 4;
/** Ready ones last: what is waited for is what one looks at. */
const AT_REST = new Set(['ready', 'stopped']);

/** One line a VM with its state, its current step and how long it has been there, under a title that counts. */
export class LiveProgress implements Progress {
  readonly #title: string;
  readonly #startedAtMs = Date.now();
  readonly #rows = new Map<string, ProgressRow>();
  readonly #shown: Promise<unknown>;
  #note = '';
  #finish: (reached: boolean) => void = () => undefined;

  constructor(title: string) {
    this.#title = title;
    const finished = new Promise<boolean>((resolve) => {
      this.#finish = resolve;
    });
    const onStderr = new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) });
    const list = new Listr(
      {
        title,
        task: async (_context, task) => {
          const draw = () => {
            task.title = this.#headline(Date.now());
            task.output = this.#table(Date.now());
          };
          const timer = setInterval(draw, DRAWN_EVERY_MS);
          draw();
          const reached = await finished;
          clearInterval(timer);
          task.title = this.#headline(Date.now());
          if (!reached) throw new Error('not reached');
        },
        rendererOptions: { outputBar: 1 },
      },
      {
        renderer: 'default',
        rendererOptions: { logger: onStderr as never, showErrorMessage: false, lazy: true },
        registerSignalListeners: false,
      },
    );
    this.#shown = list.run().catch(() => undefined);
  }

  begin(row: ProgressRow): void {
    this.tell(row);
  }

  tell(row: ProgressRow): void {
    if (row.gone) this.#rows.delete(row.id);
    else this.#rows.set(row.id, row);
    this.#note = '';
  }

  note(text: string): void {
    this.#note = text;
  }

  async end(reached: boolean): Promise<void> {
    this.#finish(reached);
    await this.#shown;
  }

  #headline(nowMs: number): string {
    const counts = new Map<string, number>();
    for (const { state } of this.#rows.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
    const summary = [...counts].map(([state, count]) => `${count} ${state}`).join(', ') || 'no VMs';
    return `${this.#title}: ${summary}, ${seconds(nowMs - this.#startedAtMs)}${this.#note ? ` – ${this.#note}` : ''}`;
  }

  #table(nowMs: number): string {
    const rows = [...this.#rows.values()].sort(
      (one, other) => Number(AT_REST.has(one.state)) - Number(AT_REST.has(other.state)),
    );
    const room = Math.max(1, (process.stderr.rows ?? 24) - OTHER_LINES);
    const width = Math.max(40, (process.stderr.columns ?? 80) - 6);
    const idWidth = Math.max(...rows.map((row) => row.id.length), 0);
    const lines = rows.slice(0, room).map((row) => {
      const step = row.step !== null && row.state !== 'ready' ? row.step : '';
      const since = seconds(Math.max(0, nowMs - row.sinceMs)).padStart(8);
      const failure = row.failure && row.state !== 'ready' ? row.failure.message.split('\n')[0] : '';
      const host = row.host ?? '-';
      return `${row.id.padEnd(idWidth)}  ${row.state.padEnd(11)} ${step.padEnd(8)} ${host.padEnd(10)} ${since}  ${failure}`
        .slice(0, width)
        .trimEnd();
    });
    const hidden = rows.length - lines.length;
    return [...lines, ...(hidden > 0 ? [`and ${hidden} more`] : [])].join('\n');
  }
}
