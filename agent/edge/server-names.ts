import type { Backend } from '../protocol/index.ts';

/**
 * A server in HAProxy has its backend's name; where one of that name is still there, at another address or port, that and its place:
 * `db.1:10.128.0.10:5433`. Names of backends have no colon.
 */
export const serverNameOf = (
  { name, address, port }: Pick<Backend, 'name' | 'address' | 'port'>,
  isTaken: boolean,
): string => (isTaken ? `${name}:${address}:${port}` : name);

/** The backend that a server is of, or was. */
export const backendOfServer = (server: string): string => server.replace(/:.*$/, '');
