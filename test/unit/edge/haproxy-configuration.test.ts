import { expect, test } from 'vitest';
import { connectionsOfOne } from '../../../agent/edge/fair-share.ts';
import { composeHaproxyConfiguration } from '../../../agent/edge/haproxy-configuration.ts';
import type { PublishedEndpoint } from '../../../agent/protocol/network.ts';

const limits = (files: string) =>
  `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 ${files.padEnd(20)} files     \n`;

test('clients of an endpoint are limited as it says, before anything else is asked of them', () => {
  const places = { certificateFile: (name: string) => name, workerSocket: '/s', empty: '/e' };
  const rulesOf = (protocol: 'http' | 'tcp', limit?: PublishedEndpoint['limit']) =>
    composeHaproxyConfiguration(
      [
        {
          ...{ id: 'crm/web/a', addresses: ['192.0.2.1'], port: 80, protocol, proxyProtocol: false },
          ...{ backends: [], ...(limit ? { limit } : {}) },
        },
      ],
      places,
      'x',
    ).text.match(/^ {2}(stick-table|tcp-request|http-request (return|deny)).*$/gm);
  const table = (counter: string) =>
    `  stick-table type ipv6 size 100k expire 30s store conn_cur,${counter}(10s)`;
  const tracked = '  tcp-request connection track-sc0 src,ipmask(32,64)';
  expect(rulesOf('tcp')).toBeNull();
  expect(rulesOf('tcp', { connections: 7, rate: 3 })).toEqual([
    table('conn_rate'),
    tracked,
    '  tcp-request connection reject if { sc0_conn_cur gt 7 }',
    '  tcp-request connection reject if { sc0_conn_rate gt 30 }',
  ]);
  expect(rulesOf('http', { connections: 7, rate: 3 })).toEqual([
    table('http_req_rate'),
    tracked,
    '  tcp-request connection reject if { sc0_conn_cur gt 7 }',
    expect.stringContaining('tcp-request session set-var'),
    // An authority that comes for a challenge is answered.
    expect.stringContaining('http-request return status 200'),
    '  http-request deny deny_status 429 if { sc0_http_req_rate gt 30 }',
  ]);
});

test('one endpoint has a quarter of all connections at most', () => {
  expect(connectionsOfOne(limits('20000'))).toBe(2_500);
  expect(connectionsOfOne(limits('1048576'))).toBe(10_000);
  expect(connectionsOfOne(limits('unlimited'))).toBe(10_000);
  expect(connectionsOfOne('')).toBeUndefined();
  const places = {
    certificateFile: (name: string) => `/c/${name}.pem`,
    workerSocket: '/s',
    empty: '/e',
    connectionsOfOne: 2_500,
  };
  const endpoint = (protocol: 'http' | 'tcp'): PublishedEndpoint => ({
    ...{ id: `crm/web/${protocol}`, addresses: ['192.0.2.1'], port: 80, protocol },
    ...{ proxyProtocol: false, backends: [] },
  });
  const { text } = composeHaproxyConfiguration([endpoint('http'), endpoint('tcp')], places, 'x');
  expect(text.match(/^ {2}maxconn 2500$/gm)).toHaveLength(2);
  const client =
    /set-var\(sess\.client\) src,concat\(\)\n(?: {2}.*\n)*? {2}http-request set-header X-Forwarded-For %\[var\(sess\.client\)\]\n/;
  const [ofHttp, ofTcp] = text.split('listen crm:web:tcp');
  expect(ofHttp).toMatch(client);
  expect(ofTcp).not.toMatch(/client\)|http-request/);
});
