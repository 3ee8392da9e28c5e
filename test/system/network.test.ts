import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WeftClient } from '../../controller/client/index.ts';
import { createClient } from '../lab/client.ts';
import { type GoldenLab, goldenLab } from '../support/golden-lab.ts';
import { isReady, rowOf, waitOnEveryHost, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { Declarations } from '../support/network/declared.ts';
import { knockAs, knockFrom, serveAddresses } from '../support/network/forgeries.ts';
import { gatewayOn } from '../support/network/gateways.ts';
import {
  addUsualNetworks,
  closedTargets,
  flowElements,
  reachedBy,
  strangersAtVxlan,
  underlayOf,
} from '../support/network/host-services.ts';
import { guestsOf, type PlacedGuest, tryMatrix, wrongOf } from '../support/network/matrix.ts';
import {
  CROWD,
  CROWD_FIRST,
  CROWD_LAST,
  LISTENED,
  LOG,
  NORTH,
  SOUTH,
  SSH,
  UNDECLARED,
} from '../support/network/models.ts';
import { advertiseRouter, learnRouter } from '../support/network/rogue-routers.ts';
import { WORLD, WORLD_PORT, World } from '../support/network/world.ts';
import { WorldNames } from '../support/network/world-names.ts';
import { waitFor } from '../support/wait-for.ts';
import type { PsRow, TimelineStep } from '../support/weft.ts';

const PORTS = [SSH, ...LISTENED];
/** Where a role is reached, if by anybody. */
const PORT_OF: Readonly<Record<string, number>> = { web: 8080, api: 9000, db: 5433, mesh: 7000 };

interface Traced {
  readonly allowed: boolean;
  readonly probe: { readonly outcome: string };
}

describe('the network of two applications', () => {
  const declared = new Declarations([NORTH, SOUTH]);
  let golden: GoldenLab;
  let api: WeftClient;
  let rows: readonly PsRow[];
  let guests: readonly PlacedGuest[];
  beforeAll(async () => {
    golden = await goldenLab('network', { ipv6: true });
    ({ api } = await createClient(golden.lab.layout.clientConfig));
    const files = [await golden.model(NORTH), await golden.model(SOUTH, 'south.yaml')];
    await Promise.all(
      files.map((file) => golden.weft.ok(['apply', '-f', file, '--wait'], { timeoutMs: 600_000 })),
    );
    rows = await golden.weft.ps();
    guests = await guestsOf(api, ['north', 'south']);
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);
  const inside = (id: string, command: string) => golden.weft.inside(id, command);
  const guest = (id: string): PlacedGuest => {
    const found = guests.find((each) => each.id === id);
    if (!found) throw new Error(`there is no guest ${id}`);
    return found;
  };
  const address = (id: string) => String(rowOf(rows, id).address);
  const trace = (from: string, to: string) => golden.weft.json<Traced>(['net', 'trace', from, to]);
  /** What a connection from inside a guest comes to, and whether Weft says that it passes. */
  const tried = async (from: string, to: string) => {
    const { allowed, probe } = await trace(from, to);
    return { allowed, outcome: probe.outcome };
  };
  const passes = { allowed: true, outcome: 'connected' };
  /** Within a subnet nobody answers for another guest; elsewhere it is dropped on its way. */
  const dropped = { allowed: false, outcome: expect.stringMatching(/^(silent|no-route)$/) };
  /** Two of the mesh that are on one bridge, and one that is on another host. */
  const meshed = (): readonly [PlacedGuest, PlacedGuest, PlacedGuest] => {
    const mesh = guests.filter(({ app, role }) => app === 'north' && role === 'mesh');
    for (const one of mesh) {
      const near = mesh.find((each) => each !== one && each.host === one.host);
      const far = mesh.find((each) => each.host !== one.host);
      if (near && far) return [one, near, far];
    }
    throw new Error(`the mesh is on one host, or all of it is apart: ${JSON.stringify(mesh)}`);
  };

  /** Between guests of one host, whose rules are all that is between them: those of another one would hide what it lacks. */
  const isAsDeclaredOn = async (home: string) => {
    const here = guests.filter(({ host }) => host === home);
    const all = await tryMatrix(golden.weft, declared, { from: here, to: here, ports: PORTS });
    expect(new Set(all.map(({ isDeclared }) => isDeclared))).toEqual(new Set([true, false]));
    expect(wrongOf(all)).toEqual([]);
  };

  test('lets the declared connections through, and no other: every pair of guests at every port, by IPv4 and IPv6', async () => {
    const all = await tryMatrix(golden.weft, declared, { from: guests, to: guests, ports: PORTS });
    expect(all).toHaveLength(guests.length * (guests.length - 1) * PORTS.length * 2);
    expect(wrongOf(all)).toEqual([]);
    for (const isNear of [true, false])
      for (const isDeclared of [true, false]) {
        const such = all.filter((each) => (each.from.host === each.to.host) === isNear);
        expect(such.some((each) => each.isDeclared === isDeclared)).toBe(true);
      }
    const across = all.filter(({ from, to, isDeclared }) => isDeclared && from.host !== to.host);
    expect(across.map(({ from, to }) => `${from.role} → ${to.role}`)).toEqual(
      expect.arrayContaining([
        ...['web → api', 'api → db', 'web → mesh', 'api → mesh', 'db → mesh', 'mesh → mesh'],
        ...['web → back', 'db → back'],
      ]),
    );
    expect(
      all.some(({ from, to, isDeclared }) => isDeclared && from.role === 'back' && to.role === 'back'),
    ).toBe(true);
    const datagrams = await tryMatrix(golden.weft, declared, {
      from: ['north/web-0', 'north/db-0', 'north/mesh-0', 'south/web-0'].map(guest),
      to: ['north/api-0', 'north/api-1'].map(guest),
      ports: [LOG],
      protocol: 'udp',
    });
    expect(datagrams.filter(({ isDeclared }) => isDeclared)).toHaveLength(4);
    expect(wrongOf(datagrams)).toEqual([]);
  });

  test('says of each pair of roles what has happened between its guests', async () => {
    for (const from of declared.places)
      await Promise.all(
        declared.places.map(async (to) => {
          const ports = [Number(PORT_OF[to.role]), ...(from.app === to.app ? [UNDECLARED] : [])];
          for (const port of ports) {
            const [one, other] = [`${from.app}/${from.role}`, `${to.app}/${to.role}`];
            const { allowed } = await api.whyConnection({ from: one, to: other, port, protocol: 'tcp' });
            expect(allowed, `${one} → ${other}:${port}`).toBe(declared.letThrough(from, to, port));
          }
        }),
      );
  });

  test('says what was counted of that: within a mesh, and between guests of a role without one', async () => {
    const counted = async (from: string, to: string) => {
      const { counters } = await api.whyConnection({ from, to, port: SSH, protocol: 'tcp' });
      return counters;
    };
    const [one, near, far] = meshed();
    const begun = { rule: 'pass', by: 'mesh-from', packets: expect.toSatisfy((count: number) => count > 0) };
    expect(await counted(one.id, near.id)).toEqual([expect.objectContaining({ host: one.host, ...begun })]);
    const across = await counted(one.id, far.id);
    expect(across).toHaveLength(2);
    expect(across).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ host: one.host, ...begun }),
        expect.objectContaining({ host: far.host, ...begun, by: 'mesh-to' }),
      ]),
    );
    expect(await counted('north/web-0', 'north/web-1')).toEqual([
      expect.objectContaining({ host: guest('north/web-0').host, rule: 'drop', by: 'apart' }),
    ]);
  });

  test('keeps guests from hosts, from the controller, and from what else hosts have', async () => {
    const web = guest('north/web-0');
    const removeNetworks = await addUsualNetworks(golden.lab, web.host);
    try {
      const targets = await closedTargets(golden.lab);
      const sources = [web, guest('south/mesh-0')];
      const reached = await Promise.all(sources.map((from) => reachedBy(golden.weft, from, targets)));
      expect(reached).toEqual([[], []]);
    } finally {
      await removeNetworks();
    }
    const { ofGuest, ofHost } = await strangersAtVxlan(golden, web);
    expect(ofGuest).toBe(0);
    expect(ofHost).toBeGreaterThan(0);
  });

  test('hears a guest under its own addresses only', async () => {
    const target = guest('north/api-0');
    // As one that may come in, of another application; and as another one of its own role.
    for (const [forger, other] of [
      [guest('south/web-0'), guest('north/web-0')],
      [guest('north/web-0'), guest('north/web-1')],
    ] as const)
      expect(await knockAs(golden, { forger, other, target, port: 9000 })).toEqual({
        said: '',
        verdicts: { address4: 'dropped', address6: 'dropped', arp: 'dropped' },
      });
    const [forger, other, far] = meshed();
    expect(await knockFrom(golden, { forger, other, target: far, port: SSH })).toEqual({
      said: '',
      verdicts: { hardware: 'dropped' },
    });
    await waitFor(
      'every guest to be ready',
      () => golden.weft.ps(),
      (all) => all.every(isReady),
    );
    // Who has stopped pretending is heard, and so is who was pretended to be.
    const honest = [forger, other, far, guest('north/web-0'), target];
    const again = await tryMatrix(golden.weft, declared, { from: honest, to: honest, ports: [SSH, 9000] });
    expect(wrongOf(again)).toEqual([]);
  });

  test('takes addresses of no guest that gives them out', async () => {
    const [rogue, neighbour] = meshed();
    expect(await serveAddresses(golden, rogue, neighbour)).toEqual({
      said: neighbour.address.replace(/\d+$/, '1'),
      verdicts: { server: 'dropped' },
    });
  });

  test('takes no guest for a router, or for one that gives out addresses of IPv6, and lets each ask for both', async () => {
    const [rogue] = meshed();
    expect(await advertiseRouter(golden, rogue)).toEqual({
      said: '',
      verdicts: {
        router: 'dropped',
        server: 'dropped',
        answer: 'dropped',
        solicitation: 'passed',
        question: 'passed',
      },
    });
  });

  test('tells a guest of its router by IPv6, of which it gets no second address', async () => {
    const asking = guest('north/web-0');
    const { addresses } = await learnRouter(golden, asking);
    expect(addresses).toEqual([`${asking.address6}/64`]);
  });

  test('is as declared with more than two thousand rules beside, and says so of the last of them', async () => {
    const { lab, weft } = golden;
    const file = await golden.model(CROWD, 'crowd.yaml');
    await weft.ok(['apply', '-f', file, '--wait'], { timeoutMs: 400_000 });
    const crowd = await guestsOf(api, ['crowd']);
    const homes = [...new Set(crowd.map(({ host }) => host))];
    const counts = () =>
      Promise.all(homes.flatMap((host) => [flowElements(lab, host, 4), flowElements(lab, host, 6)]));
    await waitFor('all rules to be there', counts, (all) => all.every((count) => count > 2_000), 60_000);
    const all = [...guests.filter(({ role }) => role === 'web' || role === 'api'), ...crowd];
    const ports = [SSH, UNDECLARED, 9000, CROWD_FIRST, CROWD_LAST];
    const together = new Declarations([NORTH, SOUTH, CROWD]);
    expect(wrongOf(await tryMatrix(weft, together, { from: all, to: all, ports }))).toEqual([]);
    expect(await tried('crowd/one-0', `crowd/three-0:${CROWD_LAST}`)).toEqual(passes);
    expect(await tried('crowd/two-0', `crowd/three-0:${CROWD_LAST}`)).toEqual(dropped);
    await weft.ok(['delete', 'crowd', '--wait'], { timeoutMs: 180_000 });
    await waitFor('its rules to be gone', counts, (left) => left.every((count) => count < 100), 60_000);
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
    await isAsDeclaredOn(home);
    expect(await tried('north/web-0', 'north/api-0:9000')).toEqual(passes);
  });

  test('is as declared again after somebody has deleted the bridge of a guest that runs', async () => {
    const home = String(rowOf(rows, 'north/api-0').host);
    const onHome = async (...command: readonly string[]) => (await golden.lab.exec(home, command)).stdout;
    const bootOf = () => inside('north/api-0', 'cat /proc/sys/kernel/random/boot_id');
    const boot = await bootOf();
    const { ifname: bridge } = await gatewayOn(golden.lab, home, address('north/api-0'));
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
      async () => (await trace('north/web-1', `[${guest('north/api-0').address6}]:9000`)).probe.outcome,
      (outcome) => outcome === 'connected',
      60_000,
    );
    await isAsDeclaredOn(home);
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

  test('has the gateway of a role on each of its hosts under the same addresses, and guests know what goes through it', async () => {
    const mesh = guests.filter(({ app, role }) => app === 'north' && role === 'mesh');
    const gateways = await Promise.all(mesh.map((each) => gatewayOn(golden.lab, each.host, each.address)));
    expect(new Set(mesh.map(({ host }) => host)).size).toBe(3);
    const [first] = gateways;
    expect(first?.addresses).toHaveLength(2);
    for (const gateway of gateways) expect(gateway).toEqual(first);
    for (const { id } of mesh)
      expect([id, await inside(id, 'cat /sys/class/net/eth0/mtu')]).toEqual([id, String(first?.mtu)]);
    expect(first?.mtu).toBe(1_450);
  });

  test('answers guests names of the world as long as they are let out, and while they run no more', async () => {
    const one = 'south/web-0';
    const home = String(rowOf(rows, one).host);
    const { ifname } = await gatewayOn(golden.lab, home, address(one));
    const settings = async () =>
      (await golden.lab.exec(home, ['sh', '-c', `cat $(grep -l ${ifname}$ /var/lib/libvirt/dnsmasq/*.conf)`]))
        .stdout;
    const resolve = (name: string) => inside(one, `busybox nslookup ${name} 2>&1 || true`);
    const untilItKnows = (name: string, answer: string) =>
      waitFor(
        name,
        () => resolve(name),
        (text) => text.includes(answer),
        60_000,
      );
    const boot = await inside(one, 'cat /proc/sys/kernel/random/boot_id');
    const world = await WorldNames.start(golden.lab, home);
    const apply = async (model: string) =>
      golden.weft.ok(['apply', '-f', await golden.model(model, 'south.yaml'), '--wait'], {
        timeoutMs: 120_000,
      });
    await apply(SOUTH.replace('  web:', '  web:\n    outbound: false'));
    await waitFor('a resolver that asks nobody', settings, (text) => text.includes('no-resolv'), 60_000);
    await untilItKnows('web-0.web.south.weft.internal', address(one));
    await resolve('closed.example');
    await apply(SOUTH);
    await untilItKnows('open.example', '203.0.113.7');
    await world.heard('open.example');
    expect(world.questions).not.toContain('closed');
    expect(await inside(one, 'cat /proc/sys/kernel/random/boot_id')).toBe(boot);
    await world.stop();
  });

  test('lets guests out to the world as far as is declared, under the address of their host', async () => {
    const world = await World.start(golden.lab);
    try {
      const one = [WORLD.one[4], WORLD.one[6]];
      const apply = async (web: string) => {
        const model = SOUTH.replace('  web:', `  web:\n    ${web}`).replace(
          '  db:',
          '  db:\n    outbound: false',
        );
        const file = await golden.model(model, 'south.yaml');
        await golden.weft.ok(['apply', '-f', file, '--wait'], { timeoutMs: 120_000 });
      };
      /** How the world knows it; empty: it was not reached. */
      const seenAs = (id: string, to: string) =>
        inside(id, `busybox nc -w 6 ${to} ${WORLD_PORT} </dev/null 2>/dev/null | head -n 1; true`);
      const underlay = (id: string) => underlayOf(golden.lab, guest(id).host);
      await apply(`outbound: ["${one[0]}/32", "${one[1]}/128"]`);
      const open = await waitFor(
        'the guest that is let out to two addresses to reach them',
        () => Promise.all(one.map((to) => seenAs('south/web-0', to))),
        (said) => !said.includes(''),
        60_000,
      );
      expect(open).toEqual([await underlay('south/web-0'), expect.stringMatching(/^2001:db8:77:/)]);
      const all = [...one, ...Object.values(WORLD.other)].map((to) => seenAs('south/api-0', to));
      const home = await underlay('south/api-0');
      const six = expect.stringMatching(/^2001:db8:77:/);
      expect(await Promise.all(all)).toEqual([home, six, home, six]);
      await waitFor(
        'all that is not let out to be silent',
        () =>
          Promise.all([
            ...Object.values(WORLD.other).map((to) => seenAs('south/web-0', to)),
            ...one.map((to) => seenAs('south/db-0', to)),
          ]),
        (said) => said.join('') === '',
        60_000,
      );
      // What is open ends when it is let out no more.
      const log = '/run/open';
      const stream = `busybox nc ${one[0]} ${WORLD_PORT}`;
      await inside('south/web-0', `(sleep 600 | ${stream}) >${log} 2>&1 </dev/null & sleep 2`);
      const heard = async () => Number(await inside('south/web-0', `wc -c <${log}`));
      const before = await heard();
      await waitFor('more of it', heard, (bytes) => bytes > before, 60_000);
      await apply(`outbound: ["${WORLD.other[4]}/32"]`);
      let last = -1;
      await waitFor(
        'nothing more of it to be heard',
        async () => {
          const [was, now] = [last, await heard()];
          last = now;
          return now === was;
        },
        (isOver) => isOver,
        60_000,
        3_000,
      );
      expect(await seenAs('south/web-0', WORLD.other[4])).toBe(await underlay('south/web-0'));
    } finally {
      await golden.weft.ok(['apply', '-f', await golden.model(SOUTH, 'south.yaml'), '--wait'], {
        timeoutMs: 120_000,
      });
      await world.stop();
    }
  });

  test('serves an input endpoint on every edge host, with ready instances behind it, and says so', async () => {
    const { hosts } = await golden.lab.state();
    const [first, other] = hosts.map(({ name }) => name) as [string, string];
    const own = await underlayOf(golden.lab, first);
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
    // As the host has reported last.
    await waitFor(
      'its load balancer’s figures',
      async () => (await api.whyConnection({ from: 'world', to: own, port: 80, protocol: 'tcp' })).edges,
      (edges = []) =>
        edges.length === hosts.length &&
        edges.some((each) => each.host === first && 'connections' in each && each.connections >= 2),
      60_000,
    );
    await waitFor(
      'north/web-0 to be published on every edge host',
      () => golden.weft.json<{ steps: TimelineStep[] }>(['timeline', 'north/web-0']),
      ({ steps }) => steps.some(({ name, status }) => name === 'publish' && status === 'done'),
      60_000,
    );
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
    expect(await resolve('api-1.api.north.weft.internal')).toContain(guest('north/api-1').address6);
    expect(await resolve('one.north.weft.internal')).toContain(address('north/one'));
    const ofRole = await resolve('api.north.weft.internal');
    for (const id of ['north/api-0', 'north/api-1']) expect(ofRole).toContain(address(id));
    const served = await resolve('-type=srv _admin._tcp.api.north.weft.internal');
    for (const name of ['api-0', 'api-1'])
      expect(served).toMatch(new RegExp(` 9000 ${name}\\.api\\.north\\.weft\\.internal`));
    await golden.weft.ok(['scale', 'north/api=1', '--wait'], { timeoutMs: 120_000 });
    const gone = address('north/api-1');
    await waitFor(
      'its name to be gone',
      () => resolve('api-1.api.north.weft.internal'),
      (answer) => !answer.includes(gone),
      30_000,
    );
    await waitFor(
      'its endpoint to be gone',
      () => resolve('-type=srv _admin._tcp.api.north.weft.internal'),
      (answer) => answer.includes('api-0') && !answer.includes('api-1'),
      30_000,
    );
    expect((await golden.weft.ps('north')).filter(isReady)).toHaveLength(11);
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
