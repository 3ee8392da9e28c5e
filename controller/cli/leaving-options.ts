import type { Command } from './context.ts';

/** How machines may leave a host that is emptied. */
export const LEAVING_OPTIONS: NonNullable<Command['options']> = [
  [
    '--cold',
    'machines on shared pools are stopped, to go on elsewhere, even where they could move while they run',
  ],
  ['--live', 'machines are never stopped for it: what cannot move while it runs stays'],
  ['--copy-storage', 'machines on local pools leave as well, while they run: their disks are copied along'],
];
