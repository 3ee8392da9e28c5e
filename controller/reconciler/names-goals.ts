import type { NamesGoal, RouterGoal } from '../../agent/protocol/index.ts';
import type { NetworkWorld } from './network-world.ts';

/** The zone that a host serves. Undefined: it serves none. */
export const namesGoalOf = (_host: string, _world: NetworkWorld): NamesGoal | undefined => undefined;

/** Where a host's guests ask for names of the fleet. Undefined: nobody serves them. */
export const resolverOf = (_host: string, _world: NetworkWorld): RouterGoal['resolver'] => undefined;
