import Table from 'cli-table3';
import type { Context } from './context.ts';

const colours = { red: 31, green: 32, yellow: 33, dim: 2 } as const;

const coloured = () => process.stdout.isTTY === true && process.env.NO_COLOR === undefined;

export const paint = (colour: keyof typeof colours, text: string): string =>
  coloured() ? `\u001b[${colours[colour]}m${text}\u001b[0m` : text;

export function paintState(state: string): string {
  if (['ready', 'up', 'served'].includes(state)) return paint('green', state);
  if (['failed', 'backing-off', 'unknown', 'down', 'fenced'].includes(state)) return paint('red', state);
  return paint('yellow', state);
}

/** A table without lines; numbers to the right. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
): string {
  const made = new Table({
    head: head.map((text) => paint('dim', text.toUpperCase())),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    chars: {
      ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '' },
      ...{ 'bottom-left': '', 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '' },
      ...{ right: '', 'right-mid': '', middle: '' },
    },
    colAligns: head.map((_, column) =>
      rows.every((row) => typeof row[column] === 'number') && rows.length > 0 ? 'right' : 'left',
    ),
  });
  for (const row of rows) made.push(row.map((cell) => (cell === null ? '-' : String(cell))));
  return `${made.toString().replace(/[ \t]+$/gm, '')}\n`;
}

/** What a list is shown with: its rows as JSON, or as a table. */
export function printRows<Row>(
  context: Pick<Context, 'json' | 'print'>,
  rows: readonly Row[],
  head: readonly string[],
  cells: (row: Row) => readonly (string | number | null)[],
): void {
  context.print(context.json ? json(rows) : table(head, rows.map(cells)));
}

export const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

export const seconds = (ms: number): string =>
  ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;

export const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** UTC, to the second. */
export const moment = (timeMs: number): string =>
  new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ');

export const clock = (timeMs: number): string => new Date(timeMs).toISOString().slice(11, 23);
