import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { tryProbe } from '../../../agent/guest/probe.ts';
import type { Endpoint } from '../../../agent/protocol/index.ts';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
/** Version 2, a connection of whoever speaks, no addresses. */
const LOCAL = Buffer.concat([SIGNATURE, Buffer.from('20000000', 'hex')]);

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Takes nothing that does not begin with the header. @returns its port, and what it is sent behind the header. */
async function insisting(): Promise<{ port: number; heard: Promise<string> }> {
  let hear: (text: string) => void = () => undefined;
  const heard = new Promise<string>((resolve) => {
    hear = resolve;
  });
  const server = createServer((socket) => {
    let all = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('end', () => hear(all.equals(LOCAL) ? 'the header' : 'something else'));
    socket.on('data', (data) => {
      all = Buffer.concat([all, data]);
      if (all.length <= LOCAL.length) return;
      if (!all.subarray(0, LOCAL.length).equals(LOCAL)) socket.destroy();
      else if (all.includes('\r\n\r\n', LOCAL.length)) {
        hear(all.subarray(LOCAL.length).toString('latin1'));
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      }
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('it listens on a port');
  return { port: address.port, heard };
}

const endpointAt = (port: number, type: 'http' | 'tcp', more: Partial<Endpoint> = {}): Endpoint => ({
  ...{ name: 'web', type: 'input', protocol: 'tcp', port, targetPort: port, from: [] },
  probe: {
    check: type === 'http' ? { type, path: '/health' } : { type },
    intervalMs: 1_000,
    timeoutMs: 20_000,
  },
  ...more,
});
const probe = (endpoint: Endpoint) => tryProbe(endpoint, '127.0.0.1', null as never);

test('a server that insists on the PROXY protocol is asked with its header', async () => {
  const { port, heard } = await insisting();
  expect(await probe(endpointAt(port, 'http', { proxyProtocol: true }))).toBeNull();
  expect(await heard).toContain('GET /health HTTP/1.1\r\n');
});

test('one that knows no such protocol hears nothing of it', async () => {
  const { port } = await insisting();
  expect(await probe(endpointAt(port, 'http'))).toContain('http /health on port');
});

test('a connection is enough where nothing is asked for, with the header as without', async () => {
  const { port, heard } = await insisting();
  expect(await probe(endpointAt(port, 'tcp', { proxyProtocol: true }))).toBeNull();
  expect(await heard).toBe('the header');
  expect(await probe(endpointAt(port, 'tcp'))).toBeNull();
});
