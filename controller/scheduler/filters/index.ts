import type { Filter } from '../contract.ts';
import { architecture } from './architecture.ts';
import { cpu } from './cpu.ts';
import { disk } from './disk.ts';
import { hostState } from './host-state.ts';
import { memory } from './memory.ts';
import { pool } from './pool.ts';
import { wantedHost } from './wanted-host.ts';

/** In the order in which they are asked; the first refusal ends a host's chance. */
export const FILTERS: readonly Filter[] = [hostState, wantedHost, architecture, pool, cpu, memory, disk];
