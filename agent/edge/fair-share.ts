import { MOST_FILES } from './haproxy-configuration.ts';

const FILES_OF_A_CONNECTION = 2;
/** Of all connections, that one endpoint may have: others are served while it is flooded. */
const SHARE = 4;

/**
 * How many connections an endpoint may have at a time. @param limits `/proc/self/limits`: the load balancer inherits the agent's.
 * Undefined: that is not known.
 */
export function connectionsOfOne(limits: string): number | undefined {
  const files = /^Max open files +\S+ +(\d+|unlimited) /m.exec(limits)?.[1];
  if (files === undefined) return undefined;
  const most = files === 'unlimited' ? MOST_FILES : Math.min(MOST_FILES, Number(files));
  return Math.max(1, Math.floor(most / FILES_OF_A_CONNECTION / SHARE));
}
