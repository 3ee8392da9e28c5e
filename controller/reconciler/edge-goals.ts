import type { EdgeGoal } from '../../agent/protocol/index.ts';
import type { NetworkWorld } from './network-world.ts';

/** What a host serves to the world. Undefined: nothing. */
export const edgeGoalOf = (_host: string, _world: NetworkWorld): EdgeGoal | undefined => undefined;
