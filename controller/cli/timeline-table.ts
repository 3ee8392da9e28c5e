import type { Step } from '../../agent/protocol/index.ts';
import { clock, paint, table } from './output.ts';

/** The steps of a VM, each with its parts below it. */
export function timelineTable(steps: readonly Step[]): string {
  const rows = steps.flatMap((step) => [
    [
      step.name,
      step.status,
      clock(step.startedAtMs),
      step.status === 'skipped' ? '' : `${Math.round(step.ms)} ms`,
      step.detail ?? '',
    ],
    ...(step.parts ?? []).map((part) => [
      paint('dim', `  ${part.name}`),
      '',
      paint('dim', clock(part.startedAtMs)),
      paint('dim', `${Math.round(part.ms)} ms`),
      '',
    ]),
  ]);
  return table(['step', 'status', 'began', 'took', 'detail'], rows);
}
