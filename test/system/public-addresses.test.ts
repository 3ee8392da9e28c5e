import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bracketed } from '../../agent/kit/addressing.ts';
import { readClientConfig } from '../../controller/client/config.ts';
import { Authority } from '../../controller/fleet/authority.ts';
import { diskOf, enterHost, supervisedPid } from '../lab/host.ts';
import { controllerAddress, controllerAddress6 } from '../lab/layout.ts';
import { type GoldenLab, goldenLab } from '../support/golden-lab.ts';
import { hear, proxyHeader } from '../support/hear.ts';
import { isReady, waitUntilNothingIsLeft } from '../support/hosts.ts';
import {
  areServed,
  fingerprintOf,
  greetingOf,
  isGreeting,
  MACHINE_NAME,
  PublicFront,
  SERVER,
  SSH,
} from '../support/public-front.ts';
import { ask, SteadyLoad, type Trust } from '../support/steady-load.ts';
import { waitFor } from '../support/wait-for.ts';

const PUBLIC = 'public: true, ';
const LIMIT_MS = 60_000;

describe('public addresses of an application and of its machine', () => {
  let golden: GoldenLab;
  let front: PublicFront;
  let trust: Trust;
  let folder = '';
  /** IPv4 and IPv6. */
  let own: readonly string[] = [];
  let machine: readonly string[] = [];
  let load: SteadyLoad | null = null;
  const urls = () => own.map((each) => `https://${bracketed(each)}:443/hostname`);
  const untilAnswered = async () => {
    for (const url of urls())
      await waitFor(
        `${url} to be answered`,
        () => ask(url, trust, 5_000),
        ({ error }) => error === null,
        LIMIT_MS,
      );
  };
  const expectRefused = async (addresses: readonly string[], ports: readonly number[]) => {
    for (const address of addresses)
      for (const port of ports)
        expect((await hear(address, port)).error, `${address} ${port}`).toBe('ECONNREFUSED');
  };
  const move = (to: string) =>
    golden.weft.ok(['move', 'front/db', '--to', to, '--wait'], { timeoutMs: 300_000 });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-certificates-'));
    const authority = await Authority.open(folder, 'of a test', Date.now());
    trust = { ca: authority.ca, servername: SERVER };
    // Not down quickly: a host whose agent is started anew is to keep its guests, and to be held off from nothing.
    golden = await goldenLab('public', {
      ...{ publicAddresses: 4, ipv6: true, shared: ['san'] },
      agentOf: ({ address }) => ({ names: { listen: [address] } }),
    });
    const { hosts } = await golden.lab.state();
    front = new PublicFront(
      golden,
      authority,
      hosts.map(({ name }) => name),
    );
    await front.install('front', await front.certificate());
    await front.apply(PUBLIC, SSH);
    await front.untilServed();
    const rows = await front.rows();
    own = rows.get('web/https')?.addresses ?? [];
    machine = rows.get('db/ssh')?.addresses ?? [];
  }, 1_300_000);
  afterEach(() => load?.stop(), 60_000);
  afterAll(async () => {
    await golden?.down();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  test('are of both families, each on one host; TLS ends there with the certificate of the hosts', async () => {
    for (const each of [own, machine]) {
      expect(each).toEqual([
        expect.stringMatching(/^10\.77\.\d+\.20[0-3]$/),
        expect.stringMatching(/^2001:db8:77:[0-9a-f]+::20[0-3]$/),
      ]);
      await front.holderOf(each);
    }
    expect(machine).not.toEqual(own);
    await untilAnswered();
    const stranger = await ask(String(urls()[0]), { ...trust, servername: 'other.example.com' });
    expect(stranger.error).toContain('altnames');
  });

  test('tell an instance who asks, where it wants to know by the PROXY protocol', async () => {
    const { number } = await golden.lab.state();
    const world = [controllerAddress(number), controllerAddress6(number)];
    for (const [index, to] of own.entries()) {
      const { text, port, error } = await hear(to, 9000, 'hello');
      expect(error).toBeNull();
      const header = proxyHeader({ from: String(world[index]), fromPort: port, to, toPort: 9000 });
      expect(text.replaceAll('\n', '')).toBe(`${header}${Buffer.from('hello').toString('hex')}`);
    }
  });

  test('lead to one instance for each port of an instance endpoint', async () => {
    for (const index of [0, 1]) {
      const name = (await golden.weft.ok(['ssh', `front/web-${index}`, '--', 'hostname'])).trim();
      for (const address of own)
        for (const _time of ['once', 'again'])
          expect(await ask(`http://${bracketed(address)}:${7000 + index}/hostname`)).toMatchObject({
            ...{ body: name, error: null },
          });
    }
    await expectRefused(own, [7002]);
  });

  test('serve the machine at its own ones and nothing else there, and the application not at those', async () => {
    await front.untilGreeted(machine, 2222);
    await expectRefused(machine, [22, 80, 443, 7000, 9000]);
    await expectRefused(own, [22, 2222]);
    await front.untilNamed(MACHINE_NAME, machine);
  });

  test('are told of by weft ps, weft net and the metrics', async () => {
    const rows = await waitFor(
      'connections to be counted',
      () => front.rows(),
      (found) => (found.get('web/told')?.connections ?? 0) >= 2,
      LIMIT_MS,
    );
    expect([...rows.keys()]).toEqual(['db/ssh', 'web/each/0', 'web/each/1', 'web/https', 'web/told']);
    const aBackend = (name: string) => [{ name: expect.stringMatching(new RegExp(`^${name}\\.\\d+$`)) }];
    expect(rows.get('db/ssh')).toMatchObject({ protocol: 'tcp', port: 2222, backends: aBackend('db') });
    expect(rows.get('web/each/1')).toMatchObject({ protocol: 'http', port: 7001, addresses: own });
    expect(rows.get('web/each/1')?.backends).toMatchObject(aBackend('web-1'));
    const text = await golden.weft.ok(['ps', '--endpoints', 'front']);
    const [atOwn, atMachine] = [own.join(' '), machine.join(' ')];
    const row = (id: string, [first, second]: readonly string[], rest: string) =>
      new RegExp(`^front/${id} +served +${first} +${rest} .*\\n +${second}$`, 'm');
    expect(text).toMatch(row('db/ssh', machine, '2222 +h[123] +\\d/1'));
    expect(text).toMatch(row('web/https', own, '443 +h[123] +\\d/2'));
    const net = await golden.weft.ok(['net', 'front']);
    expect(net).toMatch(new RegExp(`^front/db/ssh +${atMachine} +2222 +tcp +22 +h1, h2, h3`, 'm'));
    expect(net).toMatch(new RegExp(`^front/web/each +${atOwn} +7000 \\+ index +http +8080 `, 'm'));
    expect(net).toMatch(new RegExp(`^${MACHINE_NAME} +A +${machine[0]}$`, 'm'));
    expect(net).toMatch(new RegExp(`^${MACHINE_NAME} +AAAA +${machine[1]}$`, 'm'));
    const { controller, ca, token } = await readClientConfig(golden.lab.layout.clientConfig);
    const metrics = await ask(`${controller}/metrics`, { ca, headers: { authorization: `Bearer ${token}` } });
    expect(metrics.error).toBeNull();
    for (const host of front.hosts)
      for (const id of rows.keys()) {
        const labels = `endpoint="front/${id}",app="front",host="${host}"`;
        expect(metrics.body).toContain(`weft_endpoint_served{${labels}} 1\n`);
        expect(metrics.body).toContain(`weft_endpoint_backends{${labels},state="up"} `);
      }
    expect((await ask(`${controller}/metrics`, { ca })).error).toBe('status 401');
  });

  test('take on a certificate that was replaced without a failed request', async () => {
    load = new SteadyLoad(urls(), undefined, trust);
    const loading = load;
    const twentyMore = async () => {
      const from = loading.asked.length;
      await waitFor(
        'requests to end',
        async () => loading.asked.length,
        (asked) => asked >= from + 20,
        LIMIT_MS,
      );
    };
    await twentyMore();
    const next = await front.certificate();
    await front.install('front', next);
    await waitFor(
      'the new one to be shown at both addresses',
      () => Promise.all(urls().map(async (url) => (await ask(url, trust)).certificate)),
      (shown) => shown.every((each) => each === fingerprintOf(next)),
      LIMIT_MS,
    );
    await twentyMore();
    await loading.stop();
    expect(loading.failures).toEqual([]);
  });

  test('leave out what cannot be served there, say why, and serve it once it can be', async () => {
    const first = await golden.lab.host('h1');
    const [file = '', ...enter] = enterHost(first);
    // It ends after its first connection, or with the host.
    spawn(file, [...enter, 'busybox', 'nc', '-l', '-p', '9100'], { stdio: 'ignore' });
    await waitFor(
      'another program to listen',
      async () => (await golden.lab.exec('h1', ['ss', '-Hltn', 'sport', '=', '9100'])).stdout,
      (listening) => listening.includes('9100'),
      LIMIT_MS,
    );
    const [good, other] = [await front.certificate(), await front.certificate()];
    await front.install('wrong', { certificate: good.certificate, key: other.key });
    await front.apply(
      PUBLIC,
      `${SSH}, late: {type: input, port: 9100, targetPort: 22}, wrong: {type: input, port: 992, targetPort: 22, certificate: wrong}`,
    );
    const taken = `h1: port 9100 of ${machine[0]} is taken on this host by busybox`;
    const path = '/var/lib/weft/agent/certificates/wrong.pem';
    const mismatch = `${front.hosts.join(', ')}: certificate wrong: the key in ${path} is not that of the certificate`;
    await waitFor(
      'these two to be left out, and all else to be served',
      () => front.rows(),
      (rows) => {
        const { 'db/late': late, 'db/wrong': wrong, ...others } = Object.fromEntries(rows);
        return (
          late?.reason === taken &&
          late.state === (late.host === 'h1' ? 'failed' : 'served') &&
          wrong?.state === 'failed' &&
          wrong.reason === mismatch &&
          areServed(Object.values(others))
        );
      },
      LIMIT_MS,
    );
    const { stdout, stderr } = await golden.weft.run(['ps', '--endpoints', 'front']);
    expect(stdout).toMatch(/^front\/db\/wrong +failed /m);
    expect(stderr.split('\n')).toEqual([`front/db/late: ${taken}`, `front/db/wrong: ${mismatch}`]);
    await hear(first.address, 9100, '');
    await front.install('wrong', good);
    await front.untilServed();
    await front.untilGreeted(machine, 9100);
  });

  test('stay the machine’s when it boots anew, and when it moves to another host', async () => {
    const bootOf = ['ssh', 'front/db', '--', 'cat /proc/sys/kernel/random/boot_id'];
    const boot = (await golden.weft.ok(bootOf)).trim();
    await golden.weft.ok(['reboot', 'front/db']);
    await waitFor(
      'it after its reboot',
      () => golden.weft.run(bootOf),
      ({ exitCode, stdout }) => exitCode === 0 && stdout.trim() !== boot,
    );
    await waitFor('it to be ready', () => front.machine(), isReady);
    await front.untilGreeted(machine, 2222);
    const [{ host }, holder] = [await front.machine(), await front.holderOf(machine)];
    const to = String(front.hosts.find((name) => name !== host && name !== holder));
    await move(to);
    expect(await front.machine()).toMatchObject({ host: to });
    await front.untilGreeted(machine, 2222);
    expect((await front.rows()).get('db/ssh')?.addresses).toEqual(machine);
    await front.untilNamed(MACHINE_NAME, machine);
  }, 600_000);

  test('are on another host, both, when the one that has them loses power', async () => {
    const home = await front.holderOf(machine);
    // What is looked at here is not what becomes of the machine when its own host dies.
    if ((await front.machine()).host === home) await move(home === 'h1' ? 'h2' : 'h1');
    await golden.lab.powerOff(home);
    // The kernel below it lives on, and would go on answering for them.
    await golden.lab.cut(home, null);
    await waitFor(
      'other hosts to have them',
      () => front.endpoints(),
      (rows) => rows.every(({ host }) => host !== null && host !== home),
      LIMIT_MS,
    );
    await front.untilGreeted(machine, 2222);
    await untilAnswered();
    await waitFor(
      'all to be ready elsewhere',
      () => golden.weft.ps('front'),
      (rows) => rows.every((row) => isReady(row) && row.host !== home),
    );
    await golden.lab.mend(home);
    await golden.lab.powerOn(home);
    await golden.lab.waitForHosts([home]);
    await front.untilServed();
    // What it had when it lost power, others have by now.
    for (const each of [own, machine]) await front.holderOf(each);
    await front.untilGreeted(machine, 2222);
    await untilAnswered();
  }, 600_000);

  test('of a machine go with its `public`: it is served at the application’s', async () => {
    await front.apply('', SSH);
    await waitFor(
      'it to be served there',
      () => front.rows(),
      (rows) => rows.get('db/ssh')?.addresses.join() === own.join() && areServed([...rows.values()]),
      LIMIT_MS,
    );
    await front.untilNobodyHas(machine);
    await front.untilNamed(MACHINE_NAME, []);
    for (const address of own) expect(isGreeting(await greetingOf(address, 2222))).toBe(true);
    expect(isReady(await front.machine())).toBe(true);
  });

  test('are nobody’s where no host is to be an edge host: the application runs on, and says so', async () => {
    const label = async (value: 'true' | 'false') => {
      for (const host of (await golden.lab.state()).hosts) {
        const file = join(diskOf(golden.lab.layout, host), 'etc/weft/agent.yaml');
        const text = await readFile(file, 'utf8');
        await writeFile(file, text.replace(/edge: "(true|false)"/, `edge: "${value}"`));
        process.kill(await supervisedPid(host, 'weft-agent'), 'SIGKILL');
      }
    };
    const nobody = /^no edge host is up: one needs haproxy and keepalived/;
    await label('false');
    await waitFor(
      'nobody to serve',
      () => front.endpoints(),
      (rows) => rows.every(({ state, reason = '' }) => state === 'failed' && nobody.test(reason)),
      LIMIT_MS,
    );
    const { stdout, stderr } = await golden.weft.run(['ps', '--endpoints', 'front']);
    expect(stdout).toMatch(/^front\/web\/https +failed /m);
    expect(stderr).toContain('front/web/https: no edge host is up: ');
    await front.untilNobodyHas(own);
    // Their agents were away for a moment.
    await waitFor(
      'all to be ready',
      () => golden.weft.ps('front'),
      (rows) => rows.every(isReady),
    );
    await label('true');
    await front.untilServed();
    await untilAnswered();
  }, 300_000);

  test('are given up by a host that is removed while it runs', async () => {
    const home = await front.holderOf(own);
    await golden.weft.ok(['host', 'drain', home, '--wait'], { timeoutMs: 400_000 });
    await golden.weft.ok(['host', 'rm', home]);
    const shown = async (...command: string[]) => (await golden.lab.exec(home, command)).stdout;
    for (const address of own)
      await waitFor(
        `${address} to be on another host, and on it alone`,
        () => front.having(address),
        (hosts) => hosts.length === 1 && hosts[0] !== home,
        LIMIT_MS,
      );
    await waitFor(
      'nothing to listen at the ports of the application, and no name server',
      () => shown('ss', '-Hltn', 'sport = :443 or sport = :9000 or sport = :53'),
      (listening) => listening === '',
      LIMIT_MS,
    );
    await waitFor(
      'its rules and its place on the backbone to go',
      async () => `${await shown('nft', 'list', 'tables')}${await shown('ip', '-o', 'link')}`,
      (found) => !/weft_|: wx/.test(found),
      LIMIT_MS,
    );
    await untilAnswered();
  }, 600_000);

  test('leave nothing behind', async () => {
    await golden.clear();
    await waitUntilNothingIsLeft(golden);
    await front.untilNobodyHas(own);
  }, 180_000);
});
