import { type AddressInfo, createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { blockedEndpoints } from '../../../agent/edge/blocked-ports.ts';
import type { PublishedEndpoint } from '../../../agent/protocol/index.ts';

const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function takenPort(): Promise<number> {
  const server = createServer();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const endpoint = (address: string, port: number): PublishedEndpoint => ({
  ...{ id: 'crm/web/http', addresses: [address], port, protocol: 'tcp', proxyProtocol: false, backends: [] },
});

test('a port that somebody has is blocked, unless it is the load balancer, also one that has just come', async () => {
  const port = await takenPort();
  const own = [{ address: '127.0.0.1', port, program: 'haproxy', pids: [1] }];
  const at = [endpoint('127.0.0.1', port)];
  const blocked = await blockedEndpoints(at, [], async () => []);
  expect(blocked.get('crm/web/http')).toMatch(`port ${port} of 127.0.0.1 is in use on this host`);
  expect((await blockedEndpoints(at, own, async () => [])).size).toBe(0);
  expect((await blockedEndpoints(at, [], async () => own)).size).toBe(0);
});

test('what is free is not, nor what is at an address that is another host’s now', async () => {
  const port = await takenPort();
  servers.pop()?.close();
  expect((await blockedEndpoints([endpoint('127.0.0.1', port)], [], async () => [])).size).toBe(0);
  expect((await blockedEndpoints([endpoint('192.0.2.200', port)], [], async () => [])).size).toBe(0);
});
