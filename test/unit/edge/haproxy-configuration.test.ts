import { expect, test } from 'vitest';
import { connectionsOfOne } from '../../../agent/edge/fair-share.ts';
import { composeHaproxyConfiguration } from '../../../agent/edge/haproxy-configuration.ts';
import type { PublishedEndpoint } from '../../../agent/protocol/network.ts';

const limits = (files: string) =>
  `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 ${files.padEnd(20)} files     \n`;

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
  expect(text).toMatch(/del-header X-Forwarded-For\n(?: {2}.*\n)*? {2}option forwardfor\n/);
});
