import type { Filter } from '../contract.ts';

/** A move names its target, or at least what to leave. */
export const wantedHost: Filter = {
  name: 'wanted-host',
  accepts: ({ only, avoid }, { host }) => (only === null || only === host.name) && avoid !== host.name,
  reason: ({ only }) => (only === null ? 'it is to leave this host' : `only ${only} was asked for`),
};
