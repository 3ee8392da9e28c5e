import Table from 'cli-table3';
import { isMet, type Measurement } from './contract.ts';
import { median, rounded } from './statistics.ts';

const range = (values: readonly number[]) =>
  values.length === 1
    ? String(rounded(values[0] ?? 0, 1))
    : `${rounded(median(values), 1)} (${rounded(Math.min(...values), 1)}–${rounded(Math.max(...values), 1)})`;

const readingsOf = ({ readings }: Measurement) =>
  Object.entries(readings).map(([name, values]) => `${name} ${range(values)}`);

/** Each measurement against its target; readings are medians with least and greatest. */
export function renderTable(measurements: readonly Measurement[]): string {
  const table = new Table({ head: ['benchmark', 'figure', 'target', '', 'readings'], style: { head: [] } });
  for (const each of measurements)
    table.push([
      each.benchmark,
      `${rounded(each.value)} ${each.unit}`,
      `${each.target.better === 'lower' ? '≤' : '≥'} ${each.target.limit}`,
      isMet(each) ? 'met' : 'MISSED',
      readingsOf(each).join('\n'),
    ]);
  const notes = measurements.map((each) => `${each.benchmark}: ${each.note}`);
  return `${table.toString()}\n${[...new Set(notes)].join('\n')}\n`;
}
