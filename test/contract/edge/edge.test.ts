import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import type { EdgeGoal, EdgeReport, PublishedEndpoint } from '../../../agent/protocol/network.ts';
import { waitFor } from '../../support/wait-for.ts';
import { DROPPED_VIP, type EdgeName, EdgeStage, MACHINE_VIP, OTHER_VIP, VIP, VIP6 } from './stage.ts';

const stage = new EdgeStage();
const PEERS = { a: ['10.213.7.2'], b: ['10.213.7.1'] };

interface Loaded {
  readonly ok: number;
  readonly failures: number;
  readonly first: readonly string[];
  readonly by: Readonly<Record<string, number>>;
}

const back = (number: number, state: 'ready' | 'draining' = 'ready') => ({
  name: `web-${number}.1`,
  address: `10.213.7.${11 + number}`,
  port: 80,
  state,
});

const endpoint = (over: Partial<PublishedEndpoint> = {}): PublishedEndpoint => ({
  id: 'crm/web/http',
  addresses: [VIP],
  port: 80,
  protocol: 'http',
  proxyProtocol: false,
  probe: { check: { type: 'http', path: '/' }, intervalMs: 500, timeoutMs: 2_000 },
  backends: [back(0), back(1)],
  ...over,
});

/** Until addresses are what is looked at, `b` has no part in them: they do not move, however busy this machine is. */
let sharing: readonly EdgeName[] = ['a'];

const goalOf = (edge: EdgeName, ...endpoints: readonly PublishedEndpoint[]): EdgeGoal => ({
  addresses: sharing.includes(edge)
    ? [
        {
          ...{ address: VIP, prefix: 24, routerId: 41, address6: { address: VIP6, prefix: 64 } },
          ...{ priority: edge === 'a' ? 200 : 100, peers: PEERS[edge] },
        },
      ]
    : [],
  endpoints: [...endpoints],
});

const states = ({ endpoints }: EdgeReport, id = 'crm/web/http') =>
  Object.fromEntries(
    endpoints.find((each) => each.id === id)?.backends.map(({ name, state }) => [name, state]) ?? [],
  );
const areUp = (report: EdgeReport, ...names: readonly string[]) =>
  names.every((name) => states(report)[name] === 'up');
const stateOf = ({ endpoints }: EdgeReport, id: string) => endpoints.find((each) => each.id === id)?.state;
const holds = ({ held }: EdgeReport) => held.includes(VIP);

const load = (name: string, host = VIP) => stage.world('load', { name, host, port: 80 });
const end = (name: string) => stage.world<Loaded>('end', { name });
/** Some more requests have been answered. */
const someRequests = async () => {
  for (let count = 0; count < 40; count++) await stage.ask();
};

const untilAnswered = (address?: string) =>
  waitFor(
    'answers',
    () => stage.ask(address),
    (answer) => answer.startsWith('web-'),
    60_000,
  );

/** Both serve the same. */
async function both(...endpoints: readonly PublishedEndpoint[]): Promise<void> {
  for (const edge of ['a', 'b'] as const) stage.tell(edge, goalOf(edge, ...endpoints));
  const names = endpoints[0]?.backends.filter(({ state }) => state === 'ready').map(({ name }) => name) ?? [];
  for (const edge of ['a', 'b'] as const)
    await stage.until(edge, `${names} to be up`, (report) => areUp(report, ...names));
}

beforeAll(async () => {
  await stage.up();
  stage.startKeeper('a');
  stage.startKeeper('b');
  for (const number of [0, 1, 2, 3])
    await stage.world('serve', { name: `web-${number}`, address: `10.213.7.${11 + number}` });
  stage.tell('a', goalOf('a', endpoint()));
  await stage.until('a', 'the address to come', holds);
  await both(endpoint());
});
afterAll(() => stage.down());

describe('the load balancer of an edge host', () => {
  it('serves by round robin, and tells backends who asks', async () => {
    const answers = [await stage.ask(), await stage.ask(), await stage.ask(), await stage.ask()];
    expect(new Set(answers)).toEqual(new Set(['web-0 10.213.7.3', 'web-1 10.213.7.3']));
    expect(answers[0]).toBe(answers[2]);
    expect(answers[1]).toBe(answers[3]);
    const lie = { host: VIP, port: 80, forwardedFor: '203.0.113.9' };
    expect(await stage.world('ask', lie)).toMatch(/^web-\d 10\.213\.7\.3$/);
  });

  it('takes backends in and out, and drains them, without a failed request', async () => {
    await load('changes');
    await both(endpoint({ backends: [back(0), back(1), back(2)] }));
    await someRequests();
    await both(endpoint({ backends: [back(0, 'draining'), back(1), back(2)] }));
    await stage.until('a', 'the drained one to be idle', ({ endpoints }) =>
      Boolean(
        endpoints[0]?.backends.some(
          ({ name, state, sessions }) => name === 'web-0.1' && state === 'draining' && sessions === 0,
        ),
      ),
    );
    await both(endpoint({ backends: [back(1), back(2)] }));
    await someRequests();
    await both(endpoint());
    const loaded = await end('changes');
    expect(loaded).toMatchObject({ failures: 0, first: [] });
    expect(loaded.by['web-2']).toBeGreaterThan(0);
  });

  it('takes on further endpoints without a failed request, and keeps connections that are open', async () => {
    await stage.world('listen', { name: 'echo', address: '10.213.7.14', port: 81 });
    const tcp = endpoint({
      ...{ id: 'crm/web/echo', port: 81, protocol: 'tcp' as const, probe: undefined },
      backends: [{ ...back(3), port: 81 }],
    });
    await load('reload');
    for (const edge of ['a', 'b'] as const) stage.tell(edge, goalOf(edge, endpoint(), tcp));
    await stage.until('a', 'the second endpoint', (report) => states(report, tcp.id)['web-3.1'] === 'up');
    expect(await stage.world('hold', { name: 'held', host: VIP, port: 81 })).toBe('echo hello');
    await both(endpoint(), tcp, endpoint({ id: 'crm/web/more', port: 82 }));
    const told = { ...tcp, id: 'crm/web/told', port: 83, proxyProtocol: true };
    await both(endpoint(), tcp, told);
    for (const edge of ['a', 'b'] as const)
      await stage.until(edge, 'the third one', (report) => states(report, told.id)['web-3.1'] === 'up');
    await stage.until('a', 'what is open in an earlier worker to be counted', ({ endpoints }) =>
      endpoints.some(({ id, backends }) => id === tcp.id && backends[0]?.sessions === 1),
    );
    const seen = String(await stage.world('hold', { name: 'told', host: VIP, port: 83 }));
    expect(seen).toContain('\r\n\r\n\0\r\nQUIT\n');
    for (const name of ['held', 'told']) await stage.world('release', { name });
    await both(endpoint());
    expect(await end('reload')).toMatchObject({ failures: 0, first: [] });
  });

  it('ends what is open in an earlier worker with a backend that dies without a word, and nothing else', async () => {
    for (const [name, last] of [
      ['mute', 14],
      ['well', 13],
    ])
      await stage.world('listen', { name, address: `10.213.7.${last}`, port: 84 });
    const tcp = endpoint({
      ...{ id: 'crm/web/mute', port: 84, protocol: 'tcp' as const, probe: undefined },
      backends: [
        { ...back(3), port: 84 },
        { ...back(2), port: 84 },
      ],
    });
    stage.tell('a', goalOf('a', endpoint(), tcp));
    await stage.until('a', 'both to be up', (report) =>
      ['web-2.1', 'web-3.1'].every((name) => states(report, tcp.id)[name] === 'up'),
    );
    const openTo = async (name: string) => {
      const answer = String(await stage.world('hold', { name, host: VIP, port: 84 }));
      return answer.split(' ')[0] ?? '';
    };
    const backendOf = new Map([
      [await openTo('one'), 'one'],
      [await openTo('two'), 'two'],
    ]);
    expect([...backendOf.keys()].sort()).toEqual(['mute', 'well']);
    const more = endpoint({ id: 'crm/web/more', port: 82 });
    stage.tell('a', goalOf('a', endpoint(), tcp, more));
    await stage.until('a', 'a reload', (report) => stateOf(report, more.id) === 'served');
    const isClosed = (name: string) => stage.world<boolean>('closed', { name: backendOf.get(name) });
    expect([await isClosed('mute'), await isClosed('well')]).toEqual([false, false]);
    await stage.worldAddress('del', '10.213.7.14');
    await waitFor('the connection to be ended', () => isClosed('mute'), Boolean, 60_000);
    expect(await isClosed('well')).toBe(false);
    await stage.worldAddress('add', '10.213.7.14');
    for (const name of ['one', 'two']) await stage.world('release', { name });
    for (const name of ['mute', 'well']) await stage.world('close', { name });
    await both(endpoint());
  });

  it('serves at an IPv6 address as well, where the other one is', async () => {
    await stage.until('a', 'both addresses', ({ held }) => held.includes(VIP) && held.includes(VIP6));
    await both(endpoint({ addresses: [VIP, VIP6] }));
    await untilAnswered(VIP6);
    const answers = [await stage.ask(VIP6), await stage.ask(VIP6)];
    expect(new Set(answers)).toEqual(new Set(['web-0 2001:db8:7::3', 'web-1 2001:db8:7::3']));
    expect(await stage.ask()).toMatch(/^web-/);
    await both(endpoint());
  });

  it('serves a machine at an address of its own: what it declares, and nothing else', async () => {
    await stage.world('listen', { name: 'db', address: '10.213.7.14', port: 22 });
    const ssh = endpoint({
      ...{ id: 'crm/db/ssh', addresses: [MACHINE_VIP], port: 22, protocol: 'tcp' as const },
      ...{ probe: undefined, backends: [{ ...back(3), name: 'db.1', port: 22 }] },
    });
    const goal = goalOf('a', endpoint(), ssh);
    const own = { address: MACHINE_VIP, prefix: 24, routerId: 42, priority: 200, peers: PEERS.a };
    stage.tell('a', { ...goal, addresses: [...goal.addresses, own] });
    await stage.until(
      'a',
      'the machine to be served',
      (report) => report.held.includes(MACHINE_VIP) && states(report, ssh.id)['db.1'] === 'up',
    );
    expect(await stage.world('hold', { name: 'ssh', host: MACHINE_VIP, port: 22 })).toBe('db hello');
    await stage.world('release', { name: 'ssh' });
    expect(await stage.ask(MACHINE_VIP, 80)).toContain('ECONNREFUSED');
    expect(await stage.ask(VIP, 22)).toContain('ECONNREFUSED');
    await both(endpoint());
    await waitFor(
      'its address to go',
      () => stage.hasAddress('a', MACHINE_VIP),
      (has) => !has,
      60_000,
    );
  });

  it('leaves out what it cannot serve, says why, and serves the rest', async () => {
    const folder = stage.certificates('a');
    const openssl = (...args: readonly string[]) => exec('openssl', args, { timeoutMs: 60_000 });
    const files = Object.fromEntries(['one', 'two'].map((name) => [name, join(folder, `${name}.key`)]));
    for (const name of ['one', 'two'])
      await openssl(
        ...[
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:prime256v1',
          '-nodes',
          '-days',
          '2',
        ],
        ...['-subj', `/CN=${name}`, '-keyout', String(files[name]), '-out', join(folder, `${name}.crt`)],
      );
    const bundle = async (name: string, parts: readonly string[], mode = 0o600) => {
      const { stdout } = await exec(
        'cat',
        parts.map((part) => join(folder, part)),
      );
      await writeFile(join(folder, `${name}.pem`), `${stdout}\n`, { mode });
    };
    await bundle('good', ['one.crt', 'one.key']);
    await bundle('wrong', ['one.crt', 'two.key']);
    await bundle('open', ['one.crt', 'one.key'], 0o644);
    const taker = await exec('ip', [
      '-n',
      stage.namespace('a'),
      'address',
      'add',
      `${OTHER_VIP}/24`,
      'dev',
      'up0',
    ]);
    expect(taker.exitCode).toBe(0);
    const blocker = await stage.listenOn('a', 90);
    const goal = goalOf(
      'a',
      endpoint(),
      endpoint({ id: 'crm/web/good', port: 443, certificate: 'good' }),
      endpoint({ id: 'crm/web/wrong', port: 444, certificate: 'wrong' }),
      endpoint({ id: 'crm/web/open', port: 445, certificate: 'open' }),
      endpoint({ id: 'crm/web/absent', port: 446, certificate: 'absent' }),
      endpoint({ id: 'crm/web/taken', port: 90 }),
      endpoint({ id: 'shop/web/http', port: 80 }),
    );
    stage.tell('a', goal);
    const report = await stage.until(
      'a',
      'TLS to be served',
      (each) => stateOf(each, 'crm/web/good') === 'served',
    );
    const reasons = Object.fromEntries(
      report.endpoints.map(({ id, state, reason }) => [id, reason ?? state]),
    );
    expect(reasons).toEqual({
      'crm/web/http': 'served',
      'crm/web/good': 'served',
      'crm/web/wrong': `certificate wrong: the key in ${folder}/wrong.pem is not that of the certificate`,
      'crm/web/open': `certificate open: others may read ${folder}/open.pem (chmod 600)`,
      'crm/web/absent':
        'certificate absent: neither the controller nor this host has it. Put it there with: weft certificate put absent --file FILE',
      'crm/web/taken': `port 90 of ${VIP} is taken on this host by node`,
      'shop/web/http': `port 80 of ${VIP} is that of crm/web/http`,
    });
    expect(await stage.ask()).toMatch(/^web-/);
    const shown = await exec(
      'ip',
      [...['netns', 'exec', stage.namespace('world'), 'openssl', 's_client', '-connect', `${VIP}:443`]],
      { input: '', okExitCodes: [0, 1], timeoutMs: 30_000 },
    );
    expect(shown.stdout).toContain('CN = one');
    blocker.kill('SIGKILL');
    await stage.until(
      'a',
      'the port that is free again',
      (each) => stateOf(each, 'crm/web/taken') === 'served',
    );
    await both(endpoint());
  });

  it('is adopted by the next agent, and started anew when it is killed', async () => {
    const [first] = await stage.pidsOf('a', 'haproxy');
    await load('adoption');
    await stage.killKeeper('a');
    await someRequests();
    stage.startKeeper('a');
    await both(endpoint());
    expect((await stage.pidsOf('a', 'haproxy'))[0]).toBe(first);
    expect(await end('adoption')).toMatchObject({ failures: 0, first: [] });
    for (const pid of await stage.pidsOf('a', 'haproxy')) process.kill(pid, 'SIGKILL');
    await waitFor(
      'another HAProxy',
      () => stage.pidsOf('a', 'haproxy'),
      (pids) => pids.length > 1 && !pids.includes(first ?? 0),
      60_000,
    );
    await untilAnswered();
  });

  it('takes a backend that dies out by itself, and back in', async () => {
    await stage.world('close', { name: 'web-1' });
    await stage.until('a', 'the dead one to be seen', (report) => states(report)['web-1.1'] === 'down');
    expect(new Set([await stage.ask(), await stage.ask()])).toEqual(new Set(['web-0 10.213.7.3']));
    await stage.world('serve', { name: 'web-1', address: '10.213.7.12' });
    await stage.until('a', 'it to be back', (report) => areUp(report, 'web-0.1', 'web-1.1'));
  });

  it('counts what comes to no backend', async () => {
    const failed = ({ endpoints }: EdgeReport) => endpoints[0]?.failed ?? -1;
    const before = failed(await stage.until('a', 'a report', () => true));
    for (const name of ['web-0', 'web-1']) await stage.world('close', { name });
    await stage.until('a', 'both to be down', (report) =>
      Object.values(states(report)).every((state) => state === 'down'),
    );
    expect(await stage.ask()).toMatch(/^failed/);
    await stage.until('a', 'it to be counted', (report) => failed(report) > Math.max(0, before));
    await stage.world('serve', { name: 'web-0', address: '10.213.7.11' });
    await stage.world('serve', { name: 'web-1', address: '10.213.7.12' });
    await stage.until('a', 'both to be back', (report) => areUp(report, 'web-0.1', 'web-1.1'));
  });
});

describe('a host that has nothing to serve any more', () => {
  it('has nothing of it left, and serves again when it is told to', async () => {
    stage.tell('a', { addresses: [], endpoints: [] });
    for (const program of ['haproxy', 'keepalived'] as const)
      await waitFor(
        `${program} to end`,
        () => stage.pidsOf('a', program),
        (pids) => pids.length === 0,
        60_000,
      );
    await waitFor(
      'its address to go',
      async () => (await stage.hasAddress('a', VIP)) || (await stage.hasAddress('a', VIP6)),
      (has) => !has,
      60_000,
    );
    await both(endpoint());
    await untilAnswered();
  });
});

describe('a shared address', () => {
  beforeAll(async () => {
    sharing = ['a', 'b'];
    await both(endpoint());
  });

  it('stays where it is when somebody who is no edge host wants it', async () => {
    const holder: EdgeName = (await stage.hasAddress('a', VIP)) ? 'a' : 'b';
    const [shared] = goalOf(holder, endpoint()).addresses;
    if (!shared) throw new Error('nothing is shared');
    const came = await stage.countVrrpFromWorld(holder);
    const peers = [...PEERS.a, ...PEERS.b];
    const stranger = await stage.startStranger({ ...shared, priority: 254, peers });
    const ended = new Promise((resolve) => stranger.once('exit', resolve));
    // Three are enough to take it away, where they are believed.
    await waitFor('it to be asked for again and again', came, (times) => times > 15, 60_000);
    expect(await stage.hasAddress(holder, VIP)).toBe(true);
    stranger.kill('SIGTERM');
    await ended;
    await untilAnswered();
  });

  it('goes, when agent and keepalived were killed before that was told of it', async () => {
    const edge: EdgeName = (await stage.hasAddress('a', VIP)) ? 'a' : 'b';
    const goal = goalOf(edge, endpoint());
    const [own] = goal.addresses;
    if (!own) throw new Error('nothing is shared');
    const other = { ...own, address: DROPPED_VIP, address6: undefined, routerId: 43 };
    stage.tell(edge, { ...goal, addresses: [own, other] });
    await waitFor('the other address', () => stage.hasAddress(edge, DROPPED_VIP), Boolean, 60_000);
    await stage.killKeeper(edge);
    for (const pid of await stage.pidsOf(edge, 'keepalived')) process.kill(pid, 'SIGKILL');
    await stage.writeKeepalived(edge, [own]);
    stage.startKeeper(edge);
    stage.tell(edge, goal);
    await stage.until(edge, 'the load balancer', (report) => stateOf(report, 'crm/web/http') === 'served');
    await waitFor(
      'the other address to go',
      () => stage.hasAddress(edge, DROPPED_VIP),
      (has) => !has,
      60_000,
    );
    await waitFor(
      'one host to have the address',
      async () => [await stage.hasAddress('a', VIP), await stage.hasAddress('b', VIP)],
      ([a, b]) => a !== b,
      60_000,
    );
  });

  it('is taken up again after keepalived was killed, and left on one host only', async () => {
    const holder: EdgeName = (await stage.hasAddress('a', VIP)) ? 'a' : 'b';
    await stage.until(holder, 'the address', holds);
    const before = await stage.pidsOf(holder, 'keepalived');
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await waitFor(
      'another keepalived',
      () => stage.pidsOf(holder, 'keepalived'),
      (pids) => pids.length > 1 && pids.every((pid) => !before.includes(pid)),
      60_000,
    );
    await waitFor(
      'one host to have the address',
      async () => [await stage.hasAddress('a', VIP), await stage.hasAddress('b', VIP)],
      ([a, b]) => a !== b,
      60_000,
    );
    await untilAnswered();
  });

  it('goes to a host that serves something there, and is on one only when the other can again', async () => {
    const other = { a: 'b', b: 'a' } as const;
    const holder: EdgeName = (await stage.hasAddress('a', VIP)) ? 'a' : 'b';
    await stage.until(holder, 'the address', holds);
    await stage.until(
      other[holder],
      'the other one to serve',
      (report) => stateOf(report, 'crm/web/http') === 'served',
    );
    const blocker = await stage.listenOn(holder, 91);
    const moved = endpoint({ port: 91 });
    for (const edge of ['a', 'b'] as const) stage.tell(edge, goalOf(edge, moved));
    await stage.until(other[holder], 'the address that the other one cannot serve', holds);
    const left = await stage.until(holder, 'it to be left', (report) => !holds(report));
    expect(stateOf(left, moved.id)).toBe('failed');
    await waitFor(
      'answers at the other one',
      () => stage.ask(VIP, 91),
      (answer) => answer.startsWith('web-'),
      60_000,
    );
    blocker.kill('SIGKILL');
    await stage.until(holder, 'it to serve again', (report) => stateOf(report, moved.id) === 'served');
    await both(endpoint());
    await waitFor(
      'one host to have the address',
      async () => [await stage.hasAddress('a', VIP), await stage.hasAddress('b', VIP)],
      ([a, b]) => a !== b,
      60_000,
    );
  });

  it('moves when the link of its host goes down, and when its host dies', async () => {
    const other = { a: 'b', b: 'a' } as const;
    const holder: EdgeName = (await stage.hasAddress('a', VIP)) ? 'a' : 'b';
    let beganMs = Date.now();
    await stage.link(holder, 'down');
    await waitFor('the other to have it', () => stage.hasAddress(other[holder], VIP), Boolean, 30_000, 20);
    console.info(`link down: the address was elsewhere after ${Date.now() - beganMs} ms`);
    await waitFor('and that of IPv6', () => stage.hasAddress(other[holder], VIP6), Boolean, 30_000);
    await untilAnswered();
    await stage.link(holder, 'up');
    await waitFor(
      'one host to have the address',
      async () => [await stage.hasAddress('a', VIP), await stage.hasAddress('b', VIP)],
      ([a, b]) => a !== b,
      60_000,
    );
    const now: EdgeName = (await stage.hasAddress('a', VIP)) ? 'a' : 'b';
    beganMs = Date.now();
    await stage.kill(now);
    await waitFor('the other to have it', () => stage.hasAddress(other[now], VIP), Boolean, 30_000, 20);
    console.info(`host killed: the address was elsewhere after ${Date.now() - beganMs} ms`);
    await untilAnswered();
  });
});

describe('what the agent leaves running', () => {
  it('ends when its package is removed, and no other HAProxy does', async () => {
    // The one that is left of the two.
    const edge: EdgeName = (await stage.pidsOf('a', 'keepalived')).length > 0 ? 'a' : 'b';
    await stage.killKeeper(edge);
    const other = await stage.startOtherHaproxy(edge);
    expect((await stage.pidsOf(edge, 'haproxy')).length).toBeGreaterThan(0);
    expect((await stage.pidsOf(edge, 'keepalived')).length).toBeGreaterThan(0);
    await stage.endServers(edge);
    expect(await stage.pidsOf(edge, 'haproxy')).toEqual([]);
    expect(await stage.pidsOf(edge, 'keepalived')).toEqual([]);
    expect(await stage.hasAddress(edge, VIP)).toBe(false);
    expect([other.exitCode, other.signalCode]).toEqual([null, null]);
    other.kill('SIGKILL');
  });
});
