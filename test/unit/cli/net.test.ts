import { execFile } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { netTrace, verdictText } from '../../../controller/cli/commands/net.ts';
import { connectionOf } from '../../../controller/cli/connection.ts';
import type { Context } from '../../../controller/cli/context.ts';
import { dot, mermaid, networkText } from '../../../controller/cli/network-text.ts';
import { outcomeOf, probeScript } from '../../../controller/cli/probe-script.ts';
import type { NetworkView, WhyAnswer } from '../../../controller/client/types.ts';

const VIEW: NetworkView = {
  app: 'crm',
  zone: 'weft.internal',
  subnets: [
    {
      ...{ id: 'crm/web', cidr: '10.128.0.0/22', cidr6: 'fd5e::/64', mesh: false, outbound: 'all' },
      guests: [
        {
          ...{ id: 'crm/web-0', address: '10.128.0.10', address6: null, host: 'h1', state: 'ready' },
          name: 'web-0.web.crm.weft.internal',
        },
      ],
    },
    { id: 'crm/db"]; evil', cidr: null, cidr6: null, mesh: true, outbound: [], guests: [] },
  ],
  flows: [
    { id: 'crm/db/sql', from: ['crm/web'], to: 'crm/db"]; evil', protocol: 'tcp', port: 5432 },
    { id: 'crm/web/http', from: ['edge'], to: 'crm/web', protocol: 'tcp', port: 8080 },
  ],
  published: [
    {
      ...{ id: 'crm/web/http', type: 'input', protocol: 'http', port: 80, targetPort: 8080 },
      addresses: ['192.0.2.200', '2001:db8::200'],
    },
  ],
  edgeHosts: ['h1'],
  names: [{ name: 'crm.weft.internal', type: 'A', data: '192.0.2.1' }],
};

test('machines that reach different parts of the world are told apart, in the table and in drawings', () => {
  const guest = (name: string, outbound: 'all' | readonly string[]) => ({
    ...{ id: `crm/${name}`, address: '10.128.8.10', address6: null, host: 'h1', state: 'ready' },
    ...{ name: `${name}.crm.weft.internal`, outbound },
  });
  const guests = [guest('db', []), guest('proxy', 'all'), guest('sync', ['10.1.0.0/16', '10.2.0.0/16'])];
  const view = {
    ...VIEW,
    subnets: [{ id: 'crm/machines', cidr: '10.128.8.0/22', cidr6: null, mesh: false, outbound: [], guests }],
    flows: [],
  };
  expect(networkText(view)).toContain('db: none; proxy: world; sync: 10.1.0.0/16, 10.2.0.0/16');
  expect(mermaid(view)).toContain('|"proxy: world"| n1');
  expect(dot(view)).toContain('[label="sync: 10.1.0.0/16, 10.2.0.0/16"]');
  expect(mermaid(view)).not.toContain('db: ');
});

test('a network is drawn for Mermaid, and no name in it is more than a name', () => {
  expect(mermaid(VIEW)).toBe(`flowchart LR
  n0["crm/web<br/>10.128.0.0/22<br/>crm/web-0 10.128.0.10"]
  n1["crm/db#34;#93;#59; evil<br/>not placed"]
  n2["world"]
  n3["load balancers<br/>h1<br/>crm.weft.internal<br/>192.0.2.200<br/>2001:db8::200"]
  n0 -->|"tcp 5432"| n1
  n3 -->|"tcp 8080"| n0
  n2 -->|"80 crm/web/http"| n3
  n0 --> n2
`);
});

test('a role that is not declared any more is drawn for as long as something leads to it, and a role has its name', () => {
  const text = mermaid({
    ...VIEW,
    flows: [{ id: 'crm/old/http', from: ['edge'], to: 'crm/old', protocol: 'tcp', port: 80 }],
    names: [{ name: 'web.crm.weft.internal', type: 'A', data: '10.128.0.10' }],
  });
  expect(text).toContain('n4["crm/old<br/>not declared any more"]');
  expect(text).toContain('n0["crm/web<br/>web.crm.weft.internal<br/>10.128.0.0/22');
});

test('a drawing has what the tables have: whose a port is, where those of instances begin, and each arrow once', () => {
  const flow = { from: ['edge'], to: 'crm/web', protocol: 'tcp', port: 22 } as const;
  const text = mermaid({
    ...VIEW,
    flows: [
      { ...flow, id: 'crm/web/http' },
      { ...flow, id: 'crm/web/raw' },
      { ...flow, id: 'crm/db/ssh', guest: 'crm/db' },
    ],
    published: [
      {
        ...{ id: 'crm/web/raw', type: 'instance', protocol: 'tcp', port: 9000, targetPort: 22 },
        addresses: [],
      },
    ],
  });
  expect(text.split('"tcp 22"').length - 1).toBe(1);
  expect(text).toContain('"tcp 22 of crm/db"');
  expect(text).toContain('"9000 + index crm/web/raw"');
});

test('what is not declared any more is told as that, and so is an application that is being deleted', () => {
  const text = networkText({
    ...VIEW,
    deleting: true,
    flows: [{ id: 'crm/old/http', from: ['edge'], to: 'crm/old', protocol: 'tcp', port: 80 }],
  });
  expect(text).toMatch(/^crm \(deleting\)/);
  expect(text).toMatch(/load balancers +→ +crm\/old \(not declared any more\) +tcp 80/);
  expect(networkText(VIEW)).not.toContain('deleting');
});

test('likewise for Graphviz', () => {
  expect(dot(VIEW)).toContain('n1 [label="crm/db\\"]; evil\\nnot placed"];');
  expect(dot(VIEW)).toContain('n0 -> n1 [label="tcp 5432"];');
});

test('a network is shown as tables', () => {
  const text = networkText(VIEW);
  for (const row of [
    /crm\/web +10\.128\.0\.0\/22 .* world/,
    /crm\/web\/http +192\.0\.2\.200 2001:db8::200 +80 +http/,
    /load balancers +→ +crm\/web +tcp 8080 +crm\/web\/http/,
  ])
    expect(text).toMatch(row);
  expect(text).toMatch(/crm\.weft\.internal +A +192\.0\.2\.1/);
});

describe('a connection is written', () => {
  const wanted = { from: 'crm/web-0', to: 'crm/db', port: 5432, protocol: 'tcp' };
  test.each([
    [['crm/web-0', 'crm/db:5432'], wanted],
    [['crm/web-0', '→', 'crm/db:5432'], wanted],
    [['crm/web-0 -> crm/db:5432/udp'], { ...wanted, protocol: 'udp' }],
    [['crm/web-0', '[2001:db8::1]:5432'], { ...wanted, to: '[2001:db8::1]' }],
  ])('%j', (words, connection) => {
    expect(connectionOf(words)).toEqual(connection);
  });
  test.each([
    [[], 'a connection is given as A B:PORT'],
    [['crm/web-0'], 'a connection is given as A B:PORT'],
    [['a', 'b:1', 'c'], 'a connection is given as A B:PORT'],
    [['a', 'b'], 'b has no port'],
    [['a', '[2001:db8::1]'], '[2001:db8::1] has no port'],
    [['a', 'b:0'], 'port 0 is none: ports are whole numbers from 1 to 65535'],
    [['a', 'b:70000'], 'port 70000 is none'],
    [['a', 'b:http'], 'port http is none'],
    [['a', 'b:080'], 'port 080 is written without zeros before it: 80'],
    [['a', 'b:80/sctp'], 'protocol "sctp" is not known here: tcp or udp'],
    [['shop/web', '2001:db8::1'], 'an IPv6 address is written in brackets'],
    [['shop/web', '2001:db8::2:1'], 'an IPv6 address is written in brackets'],
    [['a', '[b:80'], '[b:80 is no end of a connection'],
  ])('not as %j: %s', (words, problem) => {
    expect(() => connectionOf(words)).toThrow(problem);
  });
});

describe('a probe', () => {
  const run = async (port: number) =>
    outcomeOf((await promisify(execFile)('/bin/sh', ['-c', probeScript('127.0.0.1', port)])).stdout);

  test('is connected where something listens, and refused where nothing does', async () => {
    const server = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    expect(await run(port)).toBe('connected');
    await new Promise((resolve) => server.close(resolve));
    expect(await run(port)).toBe('refused');
  });

  test.each(['10.0.0.1; reboot', '$(reboot)', 'fe80::1%eth0', ''])('never goes to %j', (address) => {
    expect(() => probeScript(address, 80)).toThrow('an address and a port');
  });
});

test('what a try is told with was counted after it', async () => {
  const guest = (id: string, address: string) => ({
    ...{ id, address, address6: null, host: 'h1', state: 'ready', name: id },
  });
  let tries = 0;
  const whyConnection = async (): Promise<WhyAnswer> => ({
    question: { from: 'crm/web-0', to: 'crm/db', port: 5432, protocol: 'tcp' },
    ...{ allowed: true, rule: 'crm/db/sql', reason: 'it is declared', hosts: ['h1'] },
    from: [guest('crm/web-0', '10.128.0.10')],
    to: [guest('crm/db-0', '10.128.4.10')],
    counters: [{ host: 'h1', rule: 'pass', packets: tries, bytes: 60 * tries, sinceMs: 1 }],
  });
  const openSsh = () => {
    tries++;
    const socket = Object.assign(new EventEmitter(), { send: () => undefined });
    setImmediate(() => {
      const said = Buffer.concat([Buffer.from([1]), Buffer.from('connected\n')]);
      socket.emit('message', said, true);
      socket.emit('message', Buffer.from('{"type":"exit","code":0}'), false);
      socket.emit('close');
    });
    return socket;
  };
  const printed: string[] = [];
  const client = async () => ({ whyConnection, openSsh });
  const context = { client, json: true, print: (text: string) => printed.push(text) };
  await netTrace.run(context as unknown as Context, ['crm/web-0', 'crm/db:5432'], {});
  expect(JSON.parse(printed.join(''))).toMatchObject({
    counters: [{ packets: 1 }],
    probe: { outcome: 'connected', address: '10.128.4.10' },
  });
});

test('a verdict has beside it how load balancers serve it now, where it leads through them', () => {
  const answer: WhyAnswer = {
    question: { from: 'world', to: 'crm/web', port: 80, protocol: 'tcp' },
    ...{ allowed: true, rule: 'crm/web/http', reason: 'it is published', hosts: ['h1'], from: [], to: [] },
  };
  expect(verdictText({ ...answer, now: '0 of 2 backends up' })).toContain('\n  now: 0 of 2 backends up\n');
  expect(verdictText({ ...answer, now: null })).not.toContain('now');
  expect(verdictText({ ...answer, now: 'not served: h1: no certificate' })).toContain(
    'allowed, and not served now: it is published',
  );
});
