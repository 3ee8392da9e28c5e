import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, rowOf, waitOnEveryHost, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { waitFor } from '../support/wait-for.ts';
import type { PsRow, TimelineStep } from '../support/weft.ts';

const served = (port: number, from = '') =>
  `{type: internal, port: ${port}${from}, probe: {tcp: true, interval: 1s}}`;
const listener = (port: number) => `busybox httpd -f -p ${port} -h /etc`;

/** `web` may come in at `api`'s admin port only; the instances of `mesh` reach each other. */
const NORTH = `
apiVersion: weft/v1
kind: Application
name: north
roles:
  web:
    kind: worker
    image: "tiny:stable"
    size: ${TINY}
    instances: 2
    start: "${listener(8080)}"
    endpoints:
      http: {type: input, port: 80, targetPort: 8080, probe: {http: /hostname, interval: 1s, timeout: 2s}}
  api:
    kind: worker
    image: "tiny:stable"
    size: ${TINY}
    instances: 2
    start: "${listener(9000)}"
    endpoints:
      admin: ${served(9000, ', from: [web]')}
  mesh: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 2, mesh: true}
`;
const SOUTH = `
apiVersion: weft/v1
kind: Application
name: south
roles:
  lone:
    kind: worker
    image: "tiny:stable"
    size: ${TINY}
    instances: 1
    start: "${listener(9000)}"
    endpoints:
      admin: ${served(9000)}
`;

interface Traced {
  readonly allowed: boolean;
  readonly probe: { readonly outcome: string };
}

describe('the network of two applications', () => {
  let golden: GoldenLab;
  let rows: readonly PsRow[];
  beforeAll(async () => {
    golden = await goldenLab('network');
    const files = [await golden.model(NORTH), await golden.model(SOUTH, 'south.yaml')];
    for (const file of files) await golden.weft.ok(['apply', '-f', file, '--wait'], { timeoutMs: 400_000 });
    rows = await golden.weft.ps();
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);
  const inside = async (id: string, command: string) =>
    (await golden.weft.ok(['ssh', id, '--', command])).trim();
  const address = (id: string) => String(rowOf(rows, id).address);
  const address6 = async (id: string) => {
    const found = /inet6 (fd[0-9a-f:]+)\//.exec(await inside(id, 'ip -6 addr show dev eth0'))?.[1];
    if (found === undefined) throw new Error(`${id} has no IPv6 address`);
    return found;
  };
  const underlayOf = async (host: string) => {
    const { stdout } = await golden.lab.exec(host, ['ip', '-4', '-o', 'addr', 'show', 'dev', 'eth0']);
    const found = /inet (\d+\.\d+\.\d+\.\d+)\//.exec(stdout)?.[1];
    if (found === undefined) throw new Error(`${host} has no address on its link`);
    return found;
  };
  const trace = (from: string, to: string) => golden.weft.json<Traced>(['net', 'trace', from, to]);
  /** What a connection from inside a guest comes to, and whether Weft says that it passes. */
  const tried = async (from: string, to: string) => {
    const { allowed, probe } = await trace(from, to);
    return { allowed, outcome: probe.outcome };
  };
  const passes = { allowed: true, outcome: 'connected' };
  /** Within a subnet nobody answers for another guest; elsewhere it is dropped on its way. */
  const dropped = { allowed: false, outcome: expect.stringMatching(/^(silent|no-route)$/) };

  test('lets the declared connections through, and no other, on one host and between hosts, by IPv4 and IPv6', async () => {
    for (const api of ['north/api-0', 'north/api-1']) {
      for (const web of ['north/web-0', 'north/web-1']) {
        expect(await tried(web, `${api}:9000`), `${web} → ${api}`).toEqual(passes);
        expect((await trace(web, `[${await address6(api)}]:9000`)).probe.outcome).toBe('connected');
      }
    }
    expect(await tried('north/mesh-0', 'north/mesh-1:22')).toEqual(passes);
    expect((await trace('north/mesh-1', `[${await address6('north/mesh-0')}]:22`)).probe.outcome).toBe(
      'connected',
    );
    for (const [from, to] of [
      ['north/web-0', 'north/api-0:22'],
      ['north/api-0', 'north/web-0:8080'],
      ['north/api-0', 'north/api-1:9000'],
      ['north/mesh-0', 'north/api-0:9000'],
      ['south/lone-0', 'north/api-0:9000'],
      ['north/web-0', 'south/lone-0:9000'],
    ] as const)
      expect(await tried(from, to), `${from} → ${to}`).toEqual(dropped);
    expect((await trace('south/lone-0', `[${await address6('north/api-0')}]:9000`)).probe.outcome).not.toBe(
      'connected',
    );
  });

  test('keeps guests from hosts, from the controller, and from what they are not', async () => {
    const { hosts } = await golden.lab.state();
    const underlays = await Promise.all(hosts.map(({ name }) => underlayOf(name)));
    const net = underlays[0]?.replace(/\.\d+$/, '');
    const targets = [`${net}.1:7701`, ...underlays.map((each) => `${each}:80`)];
    for (const target of targets)
      expect((await trace('north/web-0', target)).probe.outcome, target).not.toBe('connected');
    // Under another address than its own it is heard by nobody.
    const own = address('north/web-0');
    const false4 = own.replace(/\d+$/, '250');
    await inside('north/web-0', `ip addr add ${false4}/32 dev eth0`);
    const url = `http://${address('north/api-0')}:9000/hostname`;
    const asOther = `nc -w 3 -s ${false4} ${address('north/api-0')} 9000 </dev/null && echo heard || echo silent`;
    expect(await inside('north/web-0', asOther)).toBe('silent');
    await inside('north/web-0', `ip addr del ${false4}/32 dev eth0`);
    expect(await inside('north/web-0', `busybox wget -q -O - ${url}`)).not.toBe('');
  });

  test('is as declared again after somebody has flushed all rules', async () => {
    const home = String(rowOf(rows, 'north/api-0').host);
    await golden.lab.exec(home, ['nft', 'flush', 'ruleset']);
    await waitFor(
      'the rules to be there again',
      async () => (await golden.lab.exec(home, ['nft', 'list', 'tables'])).stdout,
      (tables) => /table inet weft_/.test(tables) && /table bridge weft_/.test(tables),
      60_000,
    );
    expect(await tried('south/lone-0', 'north/api-0:9000')).toEqual(dropped);
    expect(await tried('north/web-0', 'north/api-0:9000')).toEqual(passes);
  });

  test('is as declared again after somebody has deleted the bridge of a guest that runs', async () => {
    const home = String(rowOf(rows, 'north/api-0').host);
    const onHome = async (...command: readonly string[]) => (await golden.lab.exec(home, command)).stdout;
    const bootOf = () => inside('north/api-0', 'cat /proc/sys/kernel/random/boot_id');
    const boot = await bootOf();
    const gateway = address('north/api-0').replace(/\d+$/, '1');
    const bridge = /^\d+: (wb\S+) /m.exec(await onHome('ip', '-4', '-o', 'addr', 'show', 'to', gateway))?.[1];
    if (bridge === undefined) throw new Error(`${home} has no bridge with ${gateway}`);
    const macOf = async () => (await onHome('cat', `/sys/class/net/${bridge}/address`)).trim();
    const mac = await macOf();
    await onHome('ip', 'link', 'delete', bridge);
    await waitFor(
      'the declared connection to pass again',
      () => tried('north/web-0', 'north/api-0:9000'),
      ({ outcome }) => outcome === 'connected',
      120_000,
    );
    expect(await macOf()).toBe(mac);
    await waitFor(
      'its address of IPv6',
      async () => (await trace('north/web-1', `[${await address6('north/api-0')}]:9000`)).probe.outcome,
      (outcome) => outcome === 'connected',
      60_000,
    );
    expect(await tried('south/lone-0', 'north/api-0:9000')).toEqual(dropped);
    expect(await tried('north/web-0', 'north/api-0:22')).toEqual(dropped);
    expect(await bootOf()).toBe(boot);
    // Leases and names come from libvirt's server on it.
    const named = 'busybox nslookup api-0.api.north.weft.internal 2>/dev/null | tail -n +3 || true';
    await waitFor(
      'names to be answered on it',
      () => inside('north/api-0', named),
      (answer) => answer.includes(address('north/api-0')),
      60_000,
    );
  });

  test('serves an input endpoint on every edge host, with ready instances behind it, and says so', async () => {
    const { hosts } = await golden.lab.state();
    const [first, other] = hosts.map(({ name }) => name) as [string, string];
    const own = await underlayOf(first);
    const seen = new Set<string>();
    await waitFor(
      'both instances to have answered',
      async () => {
        const { stdout } = await golden.lab.exec(
          other,
          ['busybox', 'wget', '-q', '-O', '-', `http://${own}:80/hostname`],
          { okExitCodes: [0, 1] },
        );
        if (stdout.trim() !== '') seen.add(stdout.trim());
        return seen.size;
      },
      (size) => size === 2,
      60_000,
    );
    const { steps } = await golden.weft.json<{ steps: TimelineStep[] }>(['timeline', 'north/web-0']);
    expect(steps.find(({ name }) => name === 'publish')?.status).toBe('done');
  });

  test('gives guests names for each other, which go with what they name', async () => {
    const resolve = (name: string) =>
      inside('north/web-0', `busybox nslookup ${name} 2>/dev/null | tail -n +3 || true`);
    await waitFor(
      'a name',
      () => resolve('api-1.api.north.weft.internal'),
      (answer) => answer.includes(address('north/api-1')),
      60_000,
    );
    await golden.weft.ok(['scale', 'north/api=1', '--wait'], { timeoutMs: 120_000 });
    const gone = address('north/api-1');
    await waitFor(
      'its name to be gone',
      () => resolve('api-1.api.north.weft.internal'),
      (answer) => !answer.includes(gone),
      60_000,
    );
    expect((await golden.weft.ps('north')).filter(isReady)).toHaveLength(5);
  });

  test('leaves nothing behind', async () => {
    await golden.clear();
    await waitUntilNothingIsLeft(golden);
    await waitOnEveryHost(
      golden,
      'no subnet of ours',
      async (host) => (await golden.lab.exec(host, ['ip', '-o', 'link', 'show'])).stdout,
      (text) => !/: w[bvt][0-9a-f]{4}/.test(text),
    );
  });
});
