import type { Endpoint, Machine, Role } from '../model/service.ts';

/** Endpoints of a role or a machine that the world comes to, by their names. */
export const published = (
  owner: Pick<Role | Machine, 'endpoints'> | undefined,
): readonly [string, Endpoint][] =>
  Object.entries(owner?.endpoints ?? {}).filter(([, endpoint]) => isPublished(endpoint));

/** The world comes to it. */
export const isPublished = ({ type }: Pick<Endpoint, 'type'>): boolean => type !== 'internal';
