import { expect, test } from 'vitest';
import { planBackends } from '../../../agent/edge/backend-plan.ts';
import { chooseEndpoints } from '../../../agent/edge/choose.ts';
import { deadOfEarlier, endSessions } from '../../../agent/edge/earlier-workers.ts';
import { reportEndpoints } from '../../../agent/edge/edge-report.ts';
import { EndpointTotals } from '../../../agent/edge/endpoint-totals.ts';
import { composeHaproxyConfiguration } from '../../../agent/edge/haproxy-configuration.ts';
import { composeKeepalivedConfiguration } from '../../../agent/edge/keepalived-configuration.ts';
import { lookAtListeners, parseListeners } from '../../../agent/edge/listeners.ts';
import { refusedLines } from '../../../agent/edge/refusals.ts';
import { parseProcesses, parseStatistics, type RuntimeServer } from '../../../agent/edge/runtime.ts';
import type { Backend, PublishedEndpoint } from '../../../agent/protocol/index.ts';

const backend = (name: string, state: Backend['state'] = 'ready', address = '10.128.0.10'): Backend => ({
  ...{ name, address, port: 8080, state },
});
const endpoint = (
  backends: readonly Backend[],
  over: Partial<PublishedEndpoint> = {},
): PublishedEndpoint => ({
  ...{ id: 'crm/web/http', addresses: ['192.0.2.200'], port: 80, protocol: 'http', proxyProtocol: false },
  backends: [...backends],
  ...over,
});
const server = (name: string, admin: RuntimeServer['admin'], address = '10.128.0.10'): RuntimeServer => ({
  ...{ proxy: 'crm:web:http', name, address, port: 8080, admin },
});
const planned = (
  backends: readonly Backend[],
  servers: readonly RuntimeServer[],
  busy: readonly string[] = [],
) =>
  planBackends([endpoint(backends)], servers, ({ name }) => busy.includes(name)).map(
    (command) => command.split(' check ')[0],
  );

test('what is there as it should be is told nothing', () => {
  expect(planned([backend('web-0.1')], [server('web-0.1', 'ready')])).toEqual([]);
  expect(planned([backend('web-0.1', 'draining')], [server('web-0.1', 'drain')])).toEqual([]);
  expect(planned([backend('web-0.1', 'draining')], [])).toEqual([]);
});

test('new ones come before others drain or go', () => {
  expect(
    planned(
      [backend('web-0.1', 'draining'), backend('web-0.2')],
      [server('web-0.1', 'ready'), server('web-9.1', 'ready')],
    ),
  ).toEqual([
    'add server crm:web:http/web-0.2 10.128.0.10:8080',
    'enable health crm:web:http/web-0.2',
    'enable server crm:web:http/web-0.2',
    'set server crm:web:http/web-0.1 state drain',
    'set server crm:web:http/web-9.1 state maint',
    'del server crm:web:http/web-9.1',
  ]);
});

test('one with connections is drained and goes when they have ended', () => {
  expect(planned([], [server('web-0.1', 'ready')], ['web-0.1'])).toEqual([
    'set server crm:web:http/web-0.1 state drain',
  ]);
  expect(planned([], [server('web-0.1', 'drain')], ['web-0.1'])).toEqual([]);
  expect(planned([], [server('web-0.1', 'maint')])).toEqual(['del server crm:web:http/web-0.1']);
});

test('a name that is elsewhere, and has connections, keeps nobody from where it is now', () => {
  const [before, now] = [
    server('web-0.1', 'ready', '10.128.0.11'),
    server('web-0.1:10.128.0.10:8080', 'ready'),
  ];
  expect(planned([backend('web-0.1')], [before], ['web-0.1'])).toEqual([
    'add server crm:web:http/web-0.1:10.128.0.10:8080 10.128.0.10:8080',
    'enable health crm:web:http/web-0.1:10.128.0.10:8080',
    'enable server crm:web:http/web-0.1:10.128.0.10:8080',
    'set server crm:web:http/web-0.1 state drain',
  ]);
  const drained = { ...before, admin: 'drain' as const };
  expect(planned([backend('web-0.1')], [drained, now], ['web-0.1'])).toEqual([]);
  expect(planned([backend('web-0.1')], [drained, now])).toEqual([
    'set server crm:web:http/web-0.1 state maint',
    'del server crm:web:http/web-0.1',
  ]);
  expect(planned([backend('web-0.1')], [now])).toEqual([]);
  expect(planned([backend('web-0.1', 'draining')], [now])).toEqual([
    'set server crm:web:http/web-0.1:10.128.0.10:8080 state drain',
  ]);
  // It is back where it was.
  expect(
    planned([backend('web-0.1', 'ready', '10.128.0.11')], [drained, now], ['web-0.1:10.128.0.10:8080']),
  ).toEqual([
    'enable health crm:web:http/web-0.1',
    'set server crm:web:http/web-0.1 state ready',
    'set server crm:web:http/web-0.1:10.128.0.10:8080 state drain',
  ]);
});

test('what both servers of a backend have open is its own, and it is up where one of them is', () => {
  const line = (name: string, status: string, sessions: number) => ({
    ...{
      proxy: 'crm:web:http',
      name,
      status,
      sessions,
      connections: 0,
      bytesIn: 0,
      bytesOut: 0,
      denied: 0,
      failed: 0,
    },
  });
  const totals = { of: () => ({ connections: 0, bytesIn: 0, bytesOut: 0, denied: 0, failed: 0 }) };
  const placed = 'web-0.1:10.128.0.10:8080';
  const current = [line('FRONTEND', 'OPEN', 0), line('web-0.1', 'DRAIN', 1), line(placed, 'UP', 2)];
  const [report] = reportEndpoints([endpoint([backend('web-0.1')])], [current], new Map(), totals);
  expect(report?.backends).toEqual([{ name: 'web-0.1', state: 'up', sessions: 3 }]);
  const wanted = [endpoint([backend('web-0.1')])];
  const deadAt = (status: string) => [
    ...deadOfEarlier(wanted, [line('web-0.1', status, 0)], [line(placed, 'no check', 1)]),
  ];
  expect([deadAt('UP'), deadAt('DOWN')]).toEqual([[], [`crm:web:http/${placed}`]]);
});

test('one that was left half made is taken on', () => {
  expect(planned([backend('web-0.1')], [server('web-0.1', 'maint')])).toEqual([
    'enable health crm:web:http/web-0.1',
    'set server crm:web:http/web-0.1 state ready',
  ]);
});

test('a path that could end its line, a quote or a comment is percent-encoded', () => {
  const check = { type: 'http', path: '/a b"#$\\\'\n  bind 0.0.0.0:22\u00e9' } as const;
  const probe = { check, intervalMs: 1_000, timeoutMs: 500 };
  const places = { certificateFile: (name: string) => `/c "d"/${name}.pem`, workerSocket: '/w', empty: '/e' };
  const { text, lines } = composeHaproxyConfiguration(
    [endpoint([backend('web-0.1'), backend('web-1.1', 'draining')], { probe, certificate: 'shop' })],
    places,
    'abc',
  );
  expect(text).toContain('meth GET uri /a%20b%22%23%24%5C%27%0A%20%20bind%200.0.0.0:22%C3%A9 ver HTTP/1.1');
  expect(text).toContain('bind 192.0.2.200:80 transparent ssl crt "/c \\"d\\"/shop.pem" alpn h2,http/1.1');
  expect(text).toContain('  server web-0.1 10.128.0.10:8080');
  expect(text).not.toContain('web-1.1');
  expect(lines.length).toBe(text.split('\n').length - 1);
  const line = text.split('\n').findIndex((each) => each.includes('bind ')) + 1;
  const alert = `[ALERT]    (7) : config : parsing [/x/haproxy.cfg:${line}] : 'bind' : unable to load`;
  expect([...refusedLines(alert, lines).endpoints]).toEqual([['crm/web/http', "'bind' : unable to load"]]);
  expect(refusedLines('nothing of that', lines).others).toContain('nothing of that');
});

test('shared addresses of the other family than the underlay are left out', () => {
  const shared = { prefix: 24, routerId: 7, priority: 200, peers: ['10.0.0.2'] };
  const text = composeKeepalivedConfiguration(
    [
      { ...shared, address: '10.0.0.200' },
      { ...shared, address: 'fd00::1', routerId: 8 },
    ],
    { address: '10.0.0.1', interface: 'eth0' },
  );
  expect(text).toContain('10.0.0.200/24 dev eth0');
  expect(text).not.toContain('fd00');
});

test('two endpoints of one place: the first is served, the other one says whose it is', () => {
  const around = { certificates: new Map(), listeners: [], isOurs: () => false, blocked: new Map() };
  const { served, failed } = chooseEndpoints([endpoint([]), endpoint([], { id: 'shop/web/http' })], around);
  expect(served.map(({ id }) => id)).toEqual(['crm/web/http']);
  expect(failed.get('shop/web/http')).toBe('port 80 of 192.0.2.200 is that of crm/web/http');
});

test('an earlier worker ends what is open with a backend that is down, or that nobody looks at', () => {
  const line = (name: string, status: string, sessions = 0, proxy = 'crm:web:http') => ({
    ...{ proxy, name, status, sessions, connections: 0, bytesIn: 0, bytesOut: 0, denied: 0, failed: 0 },
    failed: 0,
  });
  const wanted = endpoint([backend('up.1'), backend('down.1'), backend('leaves.1', 'draining')]);
  const current = [line('up.1', 'UP 1/2'), line('down.1', 'DOWN 1/2'), line('gone.1', 'DRAIN')];
  const names = ['up.1', 'down.1', 'leaves.1', 'gone.1', 'lost.1', 'BACKEND', 'FRONTEND'];
  const earlier = [
    ...names.map((name) => line(name, 'no check', 1)),
    line('idle.1', 'no check'),
    line('web-0.1', 'no check', 1, 'shop:web:http'),
  ];
  const dead = deadOfEarlier([wanted], current, earlier);
  expect([...dead]).toEqual(['crm:web:http/down.1', 'crm:web:http/lost.1']);
  const shown = [
    '0x55b1: proto=tcpv4 src=10.213.7.3:44984 fe=crm:web:http be=crm:web:http srv=down.1 ts=00 epoch=0',
    '0x55b2: proto=tcpv4 src=10.213.7.3:44985 fe=crm:web:http be=crm:web:http srv=up.1 ts=00 epoch=0',
    '0x55b3: proto=sockpair src=unix:2 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0',
  ];
  expect(endSessions(shown.join('\n'), dead)).toEqual(['shutdown session 0x55b1']);
});

test('a load balancer that ends, or comes, while it is listed who listens is no other program', async () => {
  const processes = [[7], [9]];
  const listeners = [7, 9, 11].map((pid) => ({ address: '*', port: pid, program: 'haproxy', pids: [pid] }));
  const { own } = await lookAtListeners(
    () => processes.shift() ?? [],
    async () => listeners,
  );
  expect([...own]).toEqual([7, 9]);
});

test('what ss, show proc and show stat print is read', () => {
  const ss = [
    'LISTEN 0 511 0.0.0.0:90 0.0.0.0:* users:(("node",pid=12,fd=3))',
    'LISTEN 0 511 [::1]:91 [::]:*',
    'LISTEN 0 511 *:92 *:* users:(("a",pid=1,fd=3),("a",pid=2,fd=3))',
  ].join('\n');
  expect(parseListeners(ss)).toEqual([
    { address: '0.0.0.0', port: 90, program: 'node', pids: [12] },
    { address: '::1', port: 91, program: 'another program', pids: [] },
    { address: '*', port: 92, program: 'a', pids: [1, 2] },
  ]);
  const proc = [
    '#<PID>          <type>          <reloads>       <uptime>        <version>',
    '5               master          2 [failed: 1]   0d00h00m01s     2.6.12',
    '# workers',
    '8               worker          0               0d00h00m01s     2.6.12',
    '# old workers',
    '7               worker          1               0d00h00m01s     2.6.12',
    '# programs',
  ].join('\n');
  expect(parseProcesses(proc)).toEqual({
    failedReloads: 1,
    workers: [
      { pid: 8, isCurrent: true },
      { pid: 7, isCurrent: false },
    ],
  });
  const stat = (sessions: number, status: string) =>
    parseStatistics(
      [
        '# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,econ,status',
        'crm:web:http,FRONTEND,,,1,1,10,4,100,200,0,,OPEN',
        `crm:web:http,web-0.1,0,0,${sessions},1,,4,100,200,,7,${status}`,
        'crm:web:http,BACKEND,0,0,0,1,,4,100,200,,3,UP',
      ].join('\n'),
    );
  const workers = [stat(0, 'UP'), stat(2, 'DOWN')];
  const totals = new EndpointTotals();
  totals.follow(
    workers.map((lines, pid) => ({ pid, lines })),
    new Set(['crm:web:http']),
  );
  expect(reportEndpoints([endpoint([backend('web-0.1')])], workers, new Map(), totals)).toEqual([
    {
      ...{ id: 'crm/web/http', state: 'served', connections: 8, bytesIn: 200, bytesOut: 400 },
      failed: 6,
      backends: [{ name: 'web-0.1', state: 'up', sessions: 2 }],
    },
  ]);
});

test('a backend that was made otherwise than its endpoint says now is told of the client, or not, as it was', () => {
  const places = { certificateFile: () => '/c', workerSocket: '/w', empty: '/e' };
  const text = (proxyProtocol: boolean, own: boolean) =>
    composeHaproxyConfiguration(
      [endpoint([{ ...backend('web-0.1'), proxyProtocol: own }, backend('web-1.2')], { proxyProtocol })],
      places,
      'abc',
    ).text;
  expect(text(true, false)).toContain(
    '  server web-0.1 10.128.0.10:8080 no-send-proxy-v2 no-check-send-proxy\n',
  );
  expect(text(false, true)).toContain('  server web-0.1 10.128.0.10:8080 send-proxy-v2 check-send-proxy\n');
  expect(text(true, false)).toContain('  server web-1.2 10.128.0.10:8080\n');
  const added = (proxyProtocol: boolean, own: boolean) =>
    planBackends(
      [endpoint([{ ...backend('web-0.1'), proxyProtocol: own }], { proxyProtocol })],
      [],
      () => false,
    )[0];
  expect(added(true, false)).not.toContain('send-proxy');
  expect(added(false, true)).toContain(' send-proxy-v2 check-send-proxy');
});
