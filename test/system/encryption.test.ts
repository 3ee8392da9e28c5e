import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { supervisedPid } from '../lab/host.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { rowOf } from '../support/hosts.ts';
import { whyNoKernelWireguard } from '../support/kernel-wireguard.ts';
import { waitFor } from '../support/wait-for.ts';
import type { PsRow } from '../support/weft.ts';

/** Two hosts encrypt, by a program; the third would by its kernel, or says that it does not where that could. */
const [FIRST, SECOND, THIRD] = ['h1', 'h2', 'h3'];
const listener = (port: number) => `busybox httpd -f -p ${port} -h /etc`;
const MODEL = `
apiVersion: weft/v1
kind: Application
name: sealed
roles:
  web:
    kind: worker
    image: "tiny:stable"
    size: ${TINY}
    instances: 2
    start: "${listener(8080)}"
    endpoints:
      http: {type: internal, port: 8080, probe: {tcp: true, interval: 1s}}
  mesh: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 2, mesh: true}
  api:
    kind: worker
    image: "tiny:stable"
    size: ${TINY}
    instances: 1
    start: "${listener(9000)}"
    endpoints:
      admin: {type: internal, port: 9000, from: [web], probe: {tcp: true, interval: 1s}}
`;
/** Of what a host sends, and of what reaches it. */
const WATCH = `table inet watch {
  counter vxlan { }
  counter wireguard { }
  chain out {
    type filter hook postrouting priority 300;
    oifname "eth0" udp dport 4789 counter name vxlan
    oifname "eth0" udp dport 51821 counter name wireguard
  }
  chain in {
    type filter hook prerouting priority -350;
    iifname "eth0" udp dport 4789 counter name vxlan
  }
}`;

const third =
  (await whyNoKernelWireguard()) === null
    ? { wireguard: 'off', problem: /^its agent.yaml says wireguard: off$/ }
    : { wireguard: 'kernel', problem: /^its kernel has no WireGuard \(.+\)$/ };

describe('a fleet whose hosts have to encrypt', () => {
  let golden: GoldenLab;
  let rows: readonly PsRow[];
  beforeAll(async () => {
    golden = await goldenLab('encryption', {
      encrypt: 'require',
      agentOf: ({ name }) => ({ wireguard: name === THIRD ? third.wireguard : 'userspace' }),
    });
    for (const host of [FIRST, SECOND, THIRD])
      await golden.lab.exec(host ?? '', ['sh', '-c', `nft '${WATCH}'`]);
    await golden.weft.ok(['apply', '-f', await golden.model(MODEL), '--wait'], { timeoutMs: 400_000 });
    rows = await golden.weft.ps();
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);
  const counted = async (host: string, name: string) => {
    const { stdout } = await golden.lab.exec(host, ['nft', 'list', 'counter', 'inet', 'watch', name]);
    return Number(/packets (\d+)/.exec(stdout)?.[1]);
  };
  const outcomeOf = async (from: string, to: string) => {
    const { probe } = await golden.weft.json<{ probe: { outcome: string } }>(['net', 'trace', from, to]);
    return probe.outcome;
  };

  test('places nothing on a host that cannot, and says of it why', async () => {
    const hosts = await golden.weft.hosts();
    const of = (name: string | undefined) => hosts.find((host) => host.name === name);
    for (const name of [FIRST, SECOND])
      expect(of(name)?.encryption).toEqual({ state: 'encrypted', problem: null });
    const problem = String(of(THIRD)?.encryption?.problem);
    expect(problem).toMatch(third.problem);
    expect(of(THIRD)?.encryption?.state).toBe('alone');
    expect(of(THIRD)?.notes.join()).toContain(problem);
    expect(rows.map(({ host }) => host)).not.toContain(THIRD);
    expect(await golden.weft.ok(['net', 'sealed'])).toContain(`${THIRD}: reaches no other host, ${problem}`);
  });

  test('carries what guests send from host to host, by routers and in a mesh, and nothing of it in the open', async () => {
    const api = String(rowOf(rows, 'sealed/api-0').host);
    const far = rows.find(({ role, host }) => role === 'web' && host !== api);
    if (!far) throw new Error(`no instance of web is on another host than ${api}`);
    expect(rowOf(rows, 'sealed/mesh-0').host).not.toBe(rowOf(rows, 'sealed/mesh-1').host);
    expect(await outcomeOf(far.id, 'sealed/api-0:9000')).toBe('connected');
    expect(await outcomeOf('sealed/mesh-0', 'sealed/mesh-1:22')).toBe('connected');
    for (const host of [FIRST, SECOND]) {
      expect(await counted(host ?? '', 'wireguard')).toBeGreaterThan(0);
      expect(await counted(host ?? '', 'vxlan')).toBe(0);
    }
    const link = await golden.weft.ok(['ssh', far.id, '--', 'ip link show dev eth0']);
    expect(link).toContain('mtu 1390');
  });

  test('goes on after somebody has deleted the tunnel of a host, and after its agent has begun anew', async () => {
    const api = String(rowOf(rows, 'sealed/api-0').host);
    const far = rows.find(({ role, host }) => role === 'web' && host !== api)?.id ?? '';
    const links = async () =>
      (await golden.lab.exec(api, ['ip', '-o', 'link', 'show', 'type', 'tun'])).stdout;
    const device = async () => /(wg[0-9a-f]{4}):/.exec(await links())?.[1] ?? null;
    const name = await device();
    const key = async () => (await golden.lab.exec(api, ['wg', 'show', String(name), 'public-key'])).stdout;
    const before = await key();
    await golden.lab.exec(api, ['ip', 'link', 'delete', String(name)]);
    await waitFor('the tunnel to be there again', device, (found) => found === name, 60_000);
    await waitFor(
      'the connection to pass',
      () => outcomeOf(far, 'sealed/api-0:9000'),
      (outcome) => outcome === 'connected',
      120_000,
    );
    const agent = async () => supervisedPid(await golden.lab.host(api), 'weft-agent').catch(() => null);
    const old = await agent();
    process.kill(Number(old), 'SIGKILL');
    await waitFor('another agent', agent, (pid) => pid !== null && pid !== old, 60_000);
    await golden.lab.waitForHosts([api]);
    expect(await key()).toBe(before);
    expect(await outcomeOf(far, 'sealed/api-0:9000')).toBe('connected');
    for (const host of [FIRST, SECOND]) expect(await counted(host ?? '', 'vxlan')).toBe(0);
  });

  test('is changed while it runs: connections live on, and once hosts have heard of it nothing goes in the open', async () => {
    const echoed = async () => {
      const said = await golden.weft.ok(['ssh', 'sealed/mesh-0', '--', 'tail -n 1 /run/echoed']);
      return Number(said.trim() || 0);
    };
    const goesOn = async (what: string) => {
      // Also where its host has yet to be in session with a controller that has just begun anew.
      const before = await echoed();
      await waitFor(`the connection to go on ${what}`, echoed, (count) => count > before + 5, 120_000);
    };
    await golden.weft.ok([
      'ssh',
      'sealed/mesh-1',
      '--',
      '(setsid busybox nc -l -p 7000 -e cat </dev/null >/dev/null 2>&1 &)',
    ]);
    const count = 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done';
    const connection = `(${count}) | busybox nc ${rowOf(rows, 'sealed/mesh-1').address} 7000 >/run/echoed`;
    await golden.weft.ok([
      'ssh',
      'sealed/mesh-0',
      '--',
      `(setsid sh -c '${connection}' </dev/null >/dev/null 2>&1 &)`,
    ]);
    await waitFor('the connection to begin', echoed, (last) => last > 0, 60_000);
    const states = async () => (await golden.weft.hosts()).map(({ encryption }) => encryption?.state ?? null);
    const plain = () => Promise.all([FIRST, SECOND].map((host) => counted(host ?? '', 'vxlan')));
    const change = async (encrypt: string, said: readonly (string | null)[]) => {
      await golden.lab.controlWith(['--down-after', '20', '--encrypt', encrypt]);
      await waitFor(
        `hosts to have heard of ${encrypt}`,
        () => states().catch(() => []),
        (all) => all.join() === said.join(),
        120_000,
      );
    };
    const silent = await plain();
    await change('off', [null, null, null]);
    await goesOn('in the open');
    expect((await plain()).every((packets, at) => packets > (silent[at] ?? 0))).toBe(true);
    await change('prefer', ['encrypted', 'encrypted', 'open']);
    await goesOn('encrypted');
    const open = await plain();
    await change('require', ['encrypted', 'encrypted', 'alone']);
    await goesOn('where all has to be');
    expect(await plain()).toEqual(open);
  });
});
