import type { Finding } from '../findings.ts';
import type { Rule } from '../world.ts';

/** A guard that is wanted and does not do what it is there for. */
export const guards: Rule<Finding> = ({ guard }) => {
  if (!guard) return [];
  const found = (severity: Finding['severity'], message: string, remedy: string): Finding[] => [
    { kind: 'guard', subject: 'guard', severity, message, remedy, repair: null },
  ];
  if (!guard.running)
    return found(
      'error',
      'the guard does not run: nothing stops machines on shared pools when this host has lost its lease',
      'Start weft-guard, and see that it is started again whenever it ends.',
    );
  const { watchdog } = guard;
  if (!watchdog || (watchdog.armed && watchdog.dependable)) return [];
  const what = watchdog.armed ? 'proves nothing' : 'is not armed';
  return found(
    'warning',
    `the guard's watchdog ${what}${watchdog.note ? `: ${watchdog.note}` : ''}`,
    'See "The guard" in docs/fencing.md; a host without a watchdog says so with guard.watchdog: none.',
  );
};
