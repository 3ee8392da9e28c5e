import type { ServerMark } from '../kit/own-server.ts';

/** An address of this host on which names are served. */
export interface Listener {
  readonly address: string;
  readonly port: number;
}

export interface KnotSettings {
  /** Everything of the name server is in it. */
  readonly folder: string;
  readonly zone: string;
  readonly listen: readonly Listener[];
  /** Who it is once its ports are open; null: whoever starts it. */
  readonly user: string | null;
  /** Prefixes of this fleet's routers, who ask for all of their guests at once. */
  readonly routers: readonly string[];
}

/** Answers a second and client network beyond which it is held off: a name server that anybody may ask must not be of use as an amplifier. */
const ANSWERS_PER_SECOND = 200;

/** Paths in the name server's folder. */
export const filesOf = (folder: string) => ({
  configuration: `${folder}/knot.conf`,
  zone: `${folder}/zone`,
  socket: `${folder}/control`,
  pid: `${folder}/pid`,
  log: `${folder}/log`,
});

/** It opens its ports, and goes on as its own user. */
export const knotServer = (folder: string): ServerMark => ({
  program: 'knotd',
  mark: filesOf(folder).configuration,
  changesUser: true,
});

const quoted = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
const list = (items: readonly string[]) => `[ ${items.map(quoted).join(', ')} ]`;

/**
 * Knot's configuration (https://www.knot-dns.cz/docs/3.2/html/reference.html): one zone, from a file that only this agent writes. It
 * asks nobody: what is not of the zone is refused.
 */
export function composeKnotConfiguration({ folder, zone, listen, user, routers }: KnotSettings): string {
  const files = filesOf(folder);
  return [
    'server:',
    `    rundir: ${quoted(folder)}`,
    `    pidfile: ${quoted(files.pid)}`,
    ...(user === null ? [] : [`    user: ${quoted(user)}`]),
    `    listen: ${list(listen.map(({ address, port }) => `${address}@${port}`))}`,
    '    identity: ""',
    '    version: ""',
    '    nsid: ""',
    '    udp-workers: 1',
    '    tcp-workers: 1',
    '    background-workers: 1',
    'control:',
    `    listen: ${quoted(files.socket)}`,
    'log:',
    `  - target: ${quoted(files.log)}`,
    '    any: warning',
    'database:',
    `    storage: ${quoted(`${folder}/db`)}`,
    'mod-rrl:',
    '  - id: default',
    `    rate-limit: ${ANSWERS_PER_SECOND}`,
    '    slip: 2',
    ...(routers.length === 0 ? [] : [`    whitelist: ${list(routers)}`]),
    'template:',
    '  - id: default',
    '    global-module: mod-rrl/default',
    'zone:',
    `  - domain: ${quoted(`${zone}.`)}`,
    `    storage: ${quoted(folder)}`,
    `    file: ${quoted(files.zone)}`,
    '    zonefile-load: whole',
    '    zonefile-sync: -1',
    '    journal-content: none',
    '    semantic-checks: off',
    '',
  ].join('\n');
}
