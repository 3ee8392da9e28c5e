import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tableName, tunnelDevice } from '../../../agent/network/names.ts';
import type { RouterPart } from '../../../agent/network/router-part.ts';
import type { TunnelMaker } from '../../../agent/network/tunnel-plan.ts';
import type { RouterOf, UnderlayOffer } from '../../../agent/protocol/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { aGuest, FLEET, type Guest, HOSTS, partOf, routerOf, underlay6Of, underlayOf } from './fleet.ts';
import { forgedVxlan } from './forged-vxlan.ts';
import { Stage } from './stage.ts';

const PORT = 51_821;
const MTU = { plain: 1_450, four: 1_390, six: 1_350 };
const ANSWERS_S = 20;
const SILENCE_S = 1.5;
/** What hosts keep from others on their way, and what not, by one maker of tunnels. */
export function testEncryption(maker: TunnelMaker): void {
  const device = tunnelDevice(FLEET);
  const keys = mkdtempSync(join(tmpdir(), 'weft-tunnel-'));
  const stage = new Stage({ keys, maker });
  const publicKeys = new Map<string, string>();
  const guests: readonly Guest[] = [
    aGuest('crm/web', 0, 'h1'),
    aGuest('crm/db', 0, 'h1'),
    aGuest('shop/db', 0, 'h1'),
    aGuest('crm/web', 1, 'h2'),
    aGuest('crm/db', 1, 'h2'),
    aGuest('shop/db', 1, 'h2'),
    aGuest('crm/db', 2, 'h3'),
  ];
  const guestOf = (id: string): Guest => guests.find((guest) => guest.id === id) ?? aGuest(id, 99, '');
  /** Its backbone by another underlay, or without somebody. */
  interface Shape {
    /** Hosts that encrypt with each other. */
    readonly sealed: readonly string[];
    readonly six?: boolean;
    /** Hosts of which the others' goals know nothing. */
    readonly without?: readonly string[];
  }

  function shapedPart(host: string, { sealed, six = false, without = [] }: Shape): RouterPart {
    const part = partOf(host, guests);
    if (!part.backbone) throw new TypeError('it has a backbone');
    const isSealed = sealed.includes(host);
    const at = (router: RouterOf): RouterOf => ({
      ...router,
      underlay: (six ? underlay6Of : underlayOf)(router.host),
    });
    const others = part.backbone.others.filter((each) => !without.includes(each.host)).map(at);
    const mtu = sealed.length === 0 ? MTU.plain : six ? MTU.six : MTU.four;
    return {
      ...part,
      backbone: {
        ...{ ...part.backbone, mtu, self: at(part.backbone.self) },
        ...(isSealed ? { tunnel: { port: PORT, mtu: mtu + (six ? 70 : 50) } } : {}),
        others: others.map((router) =>
          isSealed && sealed.includes(router.host)
            ? { ...router, publicKey: publicKeys.get(router.host) ?? '' }
            : router,
        ),
      },
    };
  }

  const apply = (shape: Shape, hosts: readonly string[] = HOSTS) =>
    Promise.all(
      hosts.map((host) => stage.host(host).router.ask({ do: 'apply', part: shapedPart(host, shape) })),
    );
  const ALL: Shape = { sealed: HOSTS };
  const NONE: Shape = { sealed: [] };

  const reaches = async (from: string, to: readonly (readonly [string, number])[], limit: number) => {
    const worker = stage.guests.get(from) ?? stage.host(from).programs;
    return worker.ask<boolean[]>({ do: 'connect', targets: to, limit });
  };
  const both = ({ address, address6 }: Guest, port: number) => [
    [address, port] as const,
    [address6, port] as const,
  ];
  const expectReached = async (from: string, to: Guest, port: number) =>
    expect(await reaches(from, both(to, port), ANSWERS_S), `${from} → ${to.id}`).toEqual([true, true]);
  const expectUnreached = async (from: string, to: Guest, port: number) =>
    expect(await reaches(from, both(to, port), SILENCE_S), `${from} → ${to.id}`).toEqual([false, false]);
  /** Routed and bridged, by both families. */
  async function expectAllReached(): Promise<void> {
    await expectReached('crm/web-0', guestOf('crm/db-1'), 5432);
    await expectReached('crm/web-1', guestOf('crm/db-0'), 5432);
    await expectReached('crm/web-0', guestOf('crm/db-2'), 5432);
    await expectReached('shop/db-0', guestOf('shop/db-1'), 80);
  }

  const send = (from: string, to: Guest, text: string, more = {}) =>
    stage.guest(from).ask<boolean>({ do: 'datagram', host: to.address, port: 514, text, ...more });
  const came = (to: string, part: string) => stage.guest(to).ask<number>({ do: 'came', part });
  async function expectArrives(from: string, to: string, text: string, more = {}): Promise<void> {
    await waitFor(
      `"${text.slice(0, 40)}" at ${to}`,
      async () => {
        await send(from, guestOf(to), text, more);
        return came(to, text);
      },
      (count) => count > 0,
      60_000,
    );
  }

  const hexOf = (text: string) => Buffer.from(text, 'latin1').toString('hex');
  /** How often it was seen on the underlay. */
  const seen = (text: string) => stage.world.ask<number>({ do: 'came', part: hexOf(text) });
  const counted = async (name: string): Promise<number> =>
    Number(
      /packets (\d+)/.exec(
        await stage.run('world', ['nft', 'list', 'counter', 'bridge', 'watch', name]),
      )?.[1],
    );
  const heal = (host: string) => stage.host(host).router.ask<boolean>({ do: 'heal' });
  const wg = (host: string, ...args: readonly string[]) => stage.runAt(host, ['wg', ...args]);

  beforeAll(async () => {
    await stage.open();
    await stage.run(
      'world',
      ['nft', '-f', '-'],
      `table bridge watch {
      counter vxlan { }
      counter wireguard { }
      chain passing {
        type filter hook forward priority 0;
        udp dport 4789 counter name vxlan
        udp dport ${PORT} counter name wireguard
      }
    }`,
    );
    for (const host of HOSTS) {
      await stage.world.ask({ do: 'sniff', device: host });
      const ability = await stage
        .host(host)
        .router.ask<NonNullable<UnderlayOffer['encryption']>>({ do: 'ability', fleet: FLEET });
      expect(ability).toEqual({ publicKey: expect.any(String), problem: null });
      publicKeys.set(host, ability.publicKey ?? '');
    }
    await apply(NONE);
    // As they were started before anybody asked for encryption.
    for (const guest of guests) await stage.addGuest(guest);
    await apply(NONE);
  });
  afterAll(async () => {
    await stage.close();
    await rm(keys, { recursive: true, force: true });
  });

  /** From the second host's own address, beside its tunnel, with its own rules out of the way. */
  async function sendForged(text: string): Promise<void> {
    await stage.run('h2', ['nft', 'delete', 'table', 'inet', tableName(FLEET)]);
    await stage.host('h2').programs.ask({
      ...{
        do: 'datagram',
        host: underlayOf('h1'),
        port: 4789,
        text: forgedVxlan(guestOf('crm/web-1'), guestOf('crm/db-0'), text),
      },
    });
    await heal('h2');
  }

  test('without a tunnel what guests send is seen on the underlay, and a host’s packet of VXLAN is taken', async () => {
    await expectAllReached();
    await expectArrives('crm/web-0', 'crm/db-1', 'plain words');
    expect(await seen('plain words')).toBeGreaterThan(0);
    await waitFor(
      'a packet by hand',
      async () => {
        await sendForged('by hand in the open');
        return came('crm/db-0', 'by hand in the open');
      },
      (count) => count > 0,
      60_000,
    );
  });

  test.each([
    ['IPv4', ALL],
    ['IPv6', { ...ALL, six: true }],
  ])('over an underlay of %s everything passes, and nothing of it is seen there', async (family, shape) => {
    await apply(shape);
    const plain = await counted('vxlan');
    const sealed = await counted('wireguard');
    const words = `sealed words over ${family}`;
    await expectArrives('crm/web-0', 'crm/db-1', words);
    await expectAllReached();
    expect(await seen(words)).toBe(0);
    expect(await counted('vxlan')).toBe(plain);
    expect(await counted('wireguard')).toBeGreaterThan(sealed);
    for (const host of HOSTS) expect(await heal(host)).toBe(false);
  });

  test('packets as large as guests are told pass whole, and guests that were told more learn what is left', async () => {
    await apply(ALL);
    const whole = { whole: true };
    for (const [from, to] of [
      ['crm/web-0', 'crm/db-1'],
      ['shop/db-0', 'shop/db-1'],
    ] as const) {
      await expectArrives(from, to, from.slice(0, 1).repeat(MTU.four - 28), whole);
      // It is told by the first one that is lost.
      await waitFor(
        `${from} to know what is left`,
        () => send(from, guestOf(to), 'x'.repeat(MTU.four - 27), whole),
        (isSent) => !isSent,
        60_000,
      );
      expect(await came(to, 'x'.repeat(MTU.four - 27))).toBe(0);
    }
    // Their segments are as large as they were.
    for (const [from, to, port] of [
      ['crm/web-0', 'crm/db-1', 5432],
      ['shop/db-0', 'shop/db-1', 80],
    ] as const)
      for (const host of [guestOf(to).address, guestOf(to).address6]) {
        await stage.guest(from).ask({ do: 'hold', host, port, limit: ANSWERS_S });
        expect(await stage.guest(from).ask({ do: 'exchange', host, port, size: 300_000, limit: 60 })).toBe(
          true,
        );
      }
  });

  test('beside the tunnel nothing is taken from a host that encrypts, and by it nothing but VXLAN', async () => {
    await apply(ALL);
    await sendForged('forged beside it');
    await expectArrives('crm/web-1', 'crm/db-0', 'honest, behind the forged one');
    expect(await came('crm/db-0', 'forged beside it')).toBe(0);
    const connect = (...bound: readonly string[]) =>
      stage.run('h2', [
        ...['python3', '-c'],
        `import socket,sys
s=socket.socket(); s.settimeout(${bound.length > 0 ? SILENCE_S : ANSWERS_S})
if sys.argv[2:]: s.setsockopt(socket.SOL_SOCKET, 25, sys.argv[2].encode())
s.bind(("${underlayOf('h2')}", 0))
try: s.connect((sys.argv[1], 80)); print("yes")
except OSError: print("no")`,
        ...[underlayOf('h1'), ...bound],
      ]);
    expect((await connect()).trim()).toBe('yes');
    expect((await connect(device)).trim()).toBe('no');
  });

  test('a guest reaches nothing of the tunnel', async () => {
    const placeholder = '169.254.47.89';
    expect(await reaches('h1', [[placeholder, 80]], ANSWERS_S)).toEqual([true]);
    expect(
      await reaches(
        'crm/web-0',
        [[placeholder, 80] as const, ...HOSTS.map((host) => [underlayOf(host), 80] as const)],
        SILENCE_S,
      ),
    ).toEqual([false, false, false, false]);
  });

  test('a host that cannot encrypt goes on with the others in the open, where the goals say so', async () => {
    await apply({ sealed: ['h1', 'h2'] });
    await expectAllReached();
    const words = 'to one that encrypts';
    await expectArrives('crm/web-0', 'crm/db-1', words);
    expect(await seen(words)).toBe(0);
    const open = 'to one that does not';
    await expectArrives('crm/web-0', 'crm/db-2', open);
    expect(await seen(open)).toBeGreaterThan(0);
    expect(await stage.run('h3', ['ip', 'link'])).not.toContain(device);
  });

  test('to a host of which the goal says nothing, nothing goes in the open any more, though something still sends there', async () => {
    const shape: Shape = { sealed: ['h1', 'h2'] };
    await apply(shape);
    const sent = async () => {
      const before = await counted('vxlan');
      await stage.host('h1').programs.ask({
        ...{ do: 'datagram', host: underlayOf('h3'), port: 4789 },
        text: forgedVxlan(guestOf('crm/web-0'), guestOf('crm/db-2'), 'sent too late'),
      });
      return (await counted('vxlan')) - before;
    };
    expect(await sent()).toBe(1);
    await apply({ ...shape, without: ['h3'] }, ['h1']);
    expect(await sent()).toBe(0);
    await apply({ ...NONE, without: ['h2', 'h3'] }, ['h1']);
    expect(await sent()).toBe(0);
  });

  test('who is in the goal no more is cut off, and so is who has another key', async () => {
    await apply(ALL);
    await expectReached('crm/web-1', guestOf('crm/db-0'), 5432);
    await apply({ ...ALL, without: ['h2'] }, ['h1']);
    await waitFor(
      'the peer to be gone',
      () => wg('h1', 'show', device, 'peers'),
      (text) => !text.includes(publicKeys.get('h2') ?? '') && text.includes(publicKeys.get('h3') ?? ''),
      30_000,
    );
    await expectUnreached('crm/web-1', guestOf('crm/db-0'), 5432);
    await apply(ALL);
    await expectReached('crm/web-1', guestOf('crm/db-0'), 5432);
    const own = publicKeys.get('h2') ?? '';
    publicKeys.set('h2', publicKeys.get('h3')?.replace(/^./, (first) => (first === 'A' ? 'B' : 'A')) ?? '');
    await apply(ALL, ['h1']);
    await expectUnreached('crm/web-1', guestOf('crm/db-0'), 5432);
    publicKeys.set('h2', own);
    await apply(ALL);
    await expectAllReached();
  });

  test.each([
    ['the device is deleted', () => stage.run('h1', ['ip', 'link', 'delete', device])],
    ['it is switched off', () => stage.run('h1', ['ip', 'link', 'set', device, 'down'])],
    ['it loses its address', () => stage.run('h1', ['ip', 'address', 'flush', 'dev', device])],
    ['it has another MTU', () => stage.run('h1', ['ip', 'link', 'set', device, 'mtu', '1280'])],
    ['a peer is removed', () => wg('h1', 'set', device, 'peer', publicKeys.get('h2') ?? '', 'remove')],
    [
      'a peer may be the source of all',
      () => wg('h1', 'set', device, 'peer', publicKeys.get('h2') ?? '', 'allowed-ips', '0.0.0.0/0'),
    ],
    ['it has another port', () => wg('h1', 'set', device, 'listen-port', '51999')],
    ['it has another key', () => wg('h1', 'set', device, 'private-key', `${keys}/h3.key`)],
    [
      'VXLAN is led beside it',
      () =>
        stage.run('h1', [
          ...['bridge', 'fdb', 'replace', routerOf('h2').mac, 'dev', 'wxf1ee'],
          ...['dst', underlayOf('h2'), 'self', 'permanent'],
        ]),
    ],
  ])('%s, and the next look puts it right', async (_what, change) => {
    await apply(ALL);
    const plain = await counted('vxlan');
    await change();
    expect(await heal('h1')).toBe(true);
    expect(await heal('h1')).toBe(false);
    await expectAllReached();
    expect(await counted('vxlan')).toBe(plain);
  });

  test('without rules everything goes through the tunnel, and without that nowhere', async () => {
    await apply(ALL);
    const plain = await counted('vxlan');
    await stage.run('h1', ['nft', 'delete', 'table', 'inet', tableName(FLEET)]);
    await expectReached('crm/web-0', guestOf('crm/db-1'), 5432);
    await stage.run('h1', ['ip', 'link', 'delete', device]);
    await expectUnreached('crm/web-0', guestOf('crm/db-1'), 5432);
    expect(await counted('vxlan')).toBe(plain);
    expect(await heal('h1')).toBe(true);
    await expectAllReached();
  });

  test('over IPv6 rules keep back what has lost the tunnel', async () => {
    await apply({ ...ALL, six: true });
    const plain = await counted('vxlan');
    await stage.run('h1', ['ip', 'link', 'delete', device]);
    await expectUnreached('crm/web-0', guestOf('crm/db-1'), 5432);
    expect(await counted('vxlan')).toBe(plain);
    expect(await heal('h1')).toBe(true);
    await expectAllReached();
  });

  test('what is in the way is told, until it is out of it', async () => {
    await apply(NONE);
    const { router } = stage.host('h1');
    const told = async () =>
      (await router.ask<UnderlayOffer['encryption']>({ do: 'ability', fleet: FLEET }))?.problem;
    // Somebody else has the port.
    await stage.runAt(
      'h1',
      maker === 'kernel' ? ['ip', 'link', 'add', 'theirs', 'type', 'wireguard'] : ['wireguard-go', 'theirs'],
    );
    await wg('h1', 'set', 'theirs', 'listen-port', String(PORT));
    await stage.run('h1', ['ip', 'link', 'set', 'theirs', 'up']);
    await apply(ALL);
    const heardOf = async () => {
      await heal('h1');
      return (await told()) ?? '';
    };
    await waitFor('the port to be said to be taken', heardOf, (text) => text.includes('in use'), 30_000);
    await stage.run('h1', ['ip', 'link', 'delete', 'theirs']);
    await waitFor('nothing to be in the way', heardOf, (text) => text === '', 30_000);
    await expectAllReached();
  });

  test('over IPv6 its way is put right too', async () => {
    await apply({ ...ALL, six: true });
    await stage.run('h1', ['ip', '-6', 'rule', 'delete', 'oif', device]);
    const plain = await counted('vxlan');
    await expectUnreached('crm/web-0', guestOf('crm/db-1'), 5432);
    expect(await heal('h1')).toBe(true);
    expect(await heal('h1')).toBe(false);
    await expectAllReached();
    expect(await counted('vxlan')).toBe(plain);
  });

  test('where nobody asks for it any more it is gone, and everything passes in the open again', async () => {
    await apply(ALL);
    await apply(NONE);
    for (const host of HOSTS) {
      expect(await stage.run(host, ['ip', 'link'])).not.toContain(device);
      expect(await stage.run(host, ['ip', '-6', 'rule'])).not.toContain(device);
      expect(await heal(host)).toBe(false);
    }
    await expectAllReached();
    await expectArrives('crm/web-0', 'crm/db-1', 'plain words again');
    expect(await seen('plain words again')).toBeGreaterThan(0);
  });
}
