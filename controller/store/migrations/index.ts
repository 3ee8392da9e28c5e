import type { Migration } from 'kysely';
import { entries } from './0001-entries.ts';
import { survival } from './0002-survival.ts';

/** In order; a released one is never changed. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-entries': entries,
  '0002-survival': survival,
};
