import type { Scorer } from '../contract.ts';
import { balance } from './balance.ts';
import { earlierFailures } from './earlier-failures.ts';
import { spread } from './spread.ts';

/** In order of weight: a later one only decides between equals. */
export const SCORERS: readonly Scorer[] = [earlierFailures, spread, balance];
