import type { PublishedEndpoint } from '../protocol/index.ts';

/** What a client may do at once of what it may do in so long. */
const AVERAGE_S = 10;

/*
 * Each endpoint has a table of its clients, of this host and of one worker alone: another one begins with an empty table. Who is not in it
 * because it is full is not limited; the one that was not heard for longest goes first.
 */

/** The table, and what of connections is closed as soon as it is there. */
export function clientLimitRules({ protocol, limit }: PublishedEndpoint): readonly string[] {
  const { connections, rate } = limit ?? {};
  if (connections === undefined && rate === undefined) return [];
  const counter = protocol === 'http' ? 'http_req_rate' : 'conn_rate';
  return [
    `  stick-table type ipv6 size 100k expire ${3 * AVERAGE_S}s store conn_cur,${counter}(${AVERAGE_S}s)`,
    // A client has all of its /64: by single addresses it would have as many limits as it likes.
    '  tcp-request connection track-sc0 src,ipmask(32,64)',
    ...(connections === undefined
      ? []
      : [`  tcp-request connection reject if { sc0_conn_cur gt ${connections} }`]),
    ...(rate === undefined || protocol === 'http'
      ? []
      : [`  tcp-request connection reject if { sc0_conn_rate gt ${rate * AVERAGE_S} }`]),
  ];
}

/** What of requests is answered by 429 (RFC 6585); behind what is nobody's backend to answer. */
export const requestLimitRules = ({ protocol, limit }: PublishedEndpoint): readonly string[] =>
  protocol === 'http' && limit?.rate !== undefined
    ? [`  http-request deny deny_status 429 if { sc0_http_req_rate gt ${limit.rate * AVERAGE_S} }`]
    : [];
