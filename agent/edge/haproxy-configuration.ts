import { bracketed } from '../kit/addressing.ts';
import { requestPath } from '../kit/request-path.ts';
import {
  type Backend,
  CHALLENGE_PATH,
  isChallengeEndpoint,
  type Probe,
  type PublishedEndpoint,
} from '../protocol/index.ts';
import { CHALLENGES_FILE } from './challenges.ts';
import { clientLimitRules, requestLimitRules } from './client-limits.ts';

/** Where a load balancer's files are. */
export interface HaproxyPlaces {
  /** Where a certificate is, with its key. */
  readonly certificateFile: (name: string) => string;
  /** Socket of a worker, through which the next one takes over what listens. */
  readonly workerSocket: string;
  /** An empty folder, where workers are locked in. */
  readonly empty: string;
  /** Of clients, at one endpoint. Absent: as many as it holds in all. */
  readonly connectionsOfOne?: number;
}

export interface HaproxyConfiguration {
  readonly text: string;
  /** Id of the endpoint on each line, from the first on; null: of none. */
  readonly lines: readonly (string | null)[];
}

/** Environment variable of a worker: it tells with which frontends it runs. */
export const FRONTENDS_VARIABLE = 'WEFT_FRONTENDS';

/** A connection takes two. */
export const MOST_FILES = 80_000;

const DEFAULT_PROBE: Probe = { check: { type: 'tcp' }, intervalMs: 2_000, timeoutMs: 2_000 };
/** Between two checks once one has failed. */
const FAST_CHECK_MS = 250;

const WITH_PROXY = 'send-proxy-v2 check-send-proxy';

/** Names of ours have no colon. */
export const proxyOf = (endpointId: string) => endpointId.replaceAll('/', ':');

/**
 * HAProxy's configuration. Ids and names are of the goal's schema: letters, digits, hyphens, dots. Backends are in it only so that a new worker
 * has them from its first moment on; between two reloads they come and go by the runtime socket.
 * @param frontends names what is served and how, apart from backends: see `frontendsOf`.
 */
export function composeHaproxyConfiguration(
  endpoints: readonly PublishedEndpoint[],
  places: HaproxyPlaces,
  frontends: string,
): HaproxyConfiguration {
  const lines: (readonly [string, string | null])[] = beginning(places, frontends).map((line) => [
    line,
    null,
  ]);
  for (const endpoint of endpoints)
    for (const line of [...frontOf(endpoint, places), ...serversOf(endpoint)])
      lines.push([line, endpoint.id]);
  return { text: `${lines.map(([line]) => line).join('\n')}\n`, lines: lines.map(([, id]) => id) };
}

/** All of the configuration that only a reload changes, as text. */
export const frontendsOf = (endpoints: readonly PublishedEndpoint[], places: HaproxyPlaces): string =>
  endpoints.flatMap((endpoint) => frontOf(endpoint, places)).join('\n');

const beginning = ({ workerSocket, empty }: HaproxyPlaces, frontends: string): readonly string[] => [
  'global',
  // Files without a folder are beside this one.
  '  default-path config',
  '  user haproxy',
  '  group haproxy',
  `  chroot ${quoted(empty)}`,
  // It serves as many as the limit of files allows, and takes no memory for more than that.
  `  fd-hard-limit ${MOST_FILES}`,
  // Connections of a worker before this one live on in it, but not in more and more of them.
  '  mworker-max-reloads 64',
  // Nothing here asks anybody by HTTP. Otherwise each start, of a check as well, reads the certificates of all authorities that this host knows.
  '.if version_atleast(2.6)',
  '  httpclient.ssl.verify none',
  '.endif',
  '  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets',
  `  stats socket ${quoted(workerSocket)} mode 600 level admin expose-fd listeners`,
  `  setenv ${FRONTENDS_VARIABLE} ${quoted(frontends)}`,
  'defaults',
  '  balance roundrobin',
  '  timeout connect 2s',
  '  timeout client 1h',
  '  timeout server 1h',
  '  timeout check 2s',
  '  option redispatch 1',
  '  retries 3',
];

function frontOf(
  endpoint: PublishedEndpoint,
  { certificateFile, connectionsOfOne }: HaproxyPlaces,
): readonly string[] {
  const { id, addresses, port, protocol, certificate } = endpoint;
  const tls =
    certificate === undefined
      ? ''
      : ` ssl crt ${quoted(certificateFile(certificate))}${protocol === 'http' ? ' alpn h2,http/1.1' : ''}`;
  // Shared addresses may be another host's now: `transparent` listens on what is not here.
  const binds = addresses.map((address) => `  bind ${bracketed(address)}:${port} transparent${tls}`);
  return [
    `listen ${proxyOf(id)}`,
    `  mode ${protocol}`,
    ...binds,
    ...clientLimitRules(endpoint),
    ...(protocol === 'http' ? [CLIENT_RULE] : []),
    ...(isChallengeEndpoint(endpoint) ? [CHALLENGE_RULE] : []),
    ...requestLimitRules(endpoint),
    ...(connectionsOfOne === undefined ? [] : [`  maxconn ${connectionsOfOne}`]),
    ...(protocol === 'http' ? httpOptions(certificate !== undefined) : []),
    ...checkOf(endpoint.probe),
    `  default-server ${serverKeywords(endpoint)}`,
  ];
}

/** Of a connection: its client's address, as text, which `option forwardfor` makes anew for each request. */
const CLIENT = 'sess.client';
const CLIENT_RULE = `  tcp-request session set-var(${CLIENT}) src,concat()`;

/** What is not among the challenges is the backends' to answer. */
const CHALLENGE_RULE = `  http-request return status 200 content-type text/plain lf-string %[path,map_str(${CHALLENGES_FILE})] if { path_beg ${CHALLENGE_PATH} } { path,map_str(${CHALLENGES_FILE}) -m found }`;

const httpOptions = (isTls: boolean): readonly string[] => [
  // Who asks is what this load balancer sees: what a client says of that itself is not believed.
  `  http-request set-header X-Forwarded-For %[var(${CLIENT})]`,
  `  http-request set-header X-Forwarded-Proto ${isTls ? 'https' : 'http'}`,
  '  timeout http-request 10s',
  '  timeout http-keep-alive 1m',
  '  timeout client 1m',
  '  timeout server 1m',
  '  timeout tunnel 1h',
  // A client that waits between two requests is not cut off by a reload.
  '  option idle-close-on-response',
  // A backend that dies under a request which may be asked again fails nobody.
  '  retry-on conn-failure empty-response',
  '  http-request disable-l7-retry unless METH_GET',
];

function checkOf(probe: Probe = DEFAULT_PROBE): readonly string[] {
  const { check, timeoutMs } = probe;
  const limit = `  timeout check ${timeoutMs}`;
  if (check.type !== 'http') return [limit];
  return [
    limit,
    '  option httpchk',
    `  http-check send meth GET uri ${requestPath(check.path)} ver HTTP/1.1 hdr Host weft`,
    '  http-check expect status 200-399',
  ];
}

/** Options of each server of an endpoint: of those in the configuration, and of those that the socket adds. */
export function serverKeywords({
  probe = DEFAULT_PROBE,
  proxyProtocol,
}: Pick<PublishedEndpoint, 'probe' | 'proxyProtocol'>): string {
  const { intervalMs } = probe;
  const fastMs = Math.min(FAST_CHECK_MS, intervalMs);
  return [
    `check inter ${intervalMs} fastinter ${fastMs} downinter ${Math.min(intervalMs, 1_000)} fall 2 rise 1`,
    'observe layer4 error-limit 3 on-error mark-down on-marked-down shutdown-sessions pool-purge-delay 500ms',
    ...(proxyProtocol ? [WITH_PROXY] : []),
  ].join(' ');
}

/** One that is draining gets nothing new: a new worker does without it, and the one before keeps its connections. */
const serversOf = ({ backends, proxyProtocol }: PublishedEndpoint): readonly string[] =>
  backends
    .filter(({ state }) => state === 'ready')
    .map((backend) => `  server ${backend.name} ${addressOf(backend)}${otherwise(backend, proxyProtocol)}`);

/** What is not as its endpoint has it. */
function otherwise({ proxyProtocol }: Backend, usual: boolean): string {
  if (proxyProtocol === undefined || proxyProtocol === usual) return '';
  return proxyProtocol ? ` ${WITH_PROXY}` : ' no-send-proxy-v2 no-check-send-proxy';
}

export const addressOf = ({ address, port }: Pick<Backend, 'address' | 'port'>) =>
  `${bracketed(address)}:${port}`;

/** Within double quotes HAProxy knows backslash, quote and dollar. */
const quoted = (text: string) => `"${text.replaceAll(/[\\"$]/g, '\\$&')}"`;
