import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, PassThrough } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../agent/kit/clock.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import { ArrivalDoor, type ArrivalDoorOptions } from '../../../agent/migrations/direct/arrival-door.ts';
import { MigrationDialler } from '../../../agent/migrations/direct/dialler.ts';
import { addressToListenOn, parseListen } from '../../../agent/migrations/direct/listen-setting.ts';
import type { LineIdentity } from '../../../agent/migrations/direct/tls.ts';
import type { MigrationDoor, OutgoingMigration } from '../../../agent/protocol/index.ts';
import { makeCertificateRequest } from '../../../agent/session/csr.ts';
import { Authority } from '../../../controller/fleet/authority.ts';

const log = createLogger('test', 'silent');
const DB = { id: 'crm/db', incarnation: 2 };
const FILES = { disk: '/san/disk.qcow2', seed: null, console: '/run/console.log' };

let folder: string;
let certifiedFromMs: number;
let identities: Record<'h1' | 'h2' | 'h3' | 'stranger' | 'controller', LineIdentity>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-direct-'));
  const now = Date.now();
  const ours = await Authority.open(join(folder, 'ours'), 'ours', now);
  const theirs = await Authority.open(join(folder, 'theirs'), 'theirs', now);
  const hostOf = async (authority: Authority, name: string, ca = authority.ca): Promise<LineIdentity> => {
    const { key, csr } = await makeCertificateRequest(name);
    return { ca, key, certificate: await authority.issueHost(csr, name, now) };
  };
  const server = await ours.issueServer(['h1'], now);
  identities = {
    h1: await hostOf(ours, 'h1'),
    h2: await hostOf(ours, 'h2'),
    h3: await hostOf(ours, 'h3'),
    stranger: await hostOf(theirs, 'h1', ours.ca),
    controller: { ca: ours.ca, key: server.key, certificate: server.certificate },
  };
  certifiedFromMs = now - 2 * 3_600_000;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let doors: ArrivalDoor[];
/** What connections were asked of the host that takes, and of the controller. */
let connected: string[];
let relayed: string[];

beforeEach(() => {
  doors = [];
  connected = [];
  relayed = [];
});
afterEach(() => {
  for (const door of doors) door.close();
});

/** Whatever is said there is said back. */
const echo = () => new PassThrough();

function doorOf(
  identity: LineIdentity,
  more: Partial<Pick<ArrivalDoorOptions, 'listen' | 'connect' | 'greetingMs'>> = {},
): ArrivalDoor {
  const door = new ArrivalDoor({
    listen: { address: '127.0.0.1', ports: { first: 0, last: 0 } },
    ownAddress: () => null,
    identity: () => identity,
    connect: async (id, incarnation, channel) => {
      connected.push(`${id}@${incarnation} ${channel}`);
      return echo();
    },
    ...{ clock: systemClock, log, ...more },
  });
  doors.push(door);
  return door;
}

const diallerOf = (identity: LineIdentity) =>
  new MigrationDialler({
    identity: () => identity,
    relay: async (path) => {
      relayed.push(path);
      return echo();
    },
    ...{ clock: systemClock, log },
  });

const orderTo = (door: MigrationDoor | null, more: Partial<OutgoingMigration> = {}): OutgoingMigration => ({
  ...{ ...DB, to: 'h2', order: 'move', resume: false, files: FILES },
  ...(door ? { direct: { ...door, certifiedFromMs } } : {}),
  ...more,
});

const opened = async (door: ArrivalDoor, host = { name: 'h1', certifiedFromMs }): Promise<MigrationDoor> => {
  const where = await door.open(DB, host);
  if (!where) throw new Error('it is not open');
  return where;
};

async function answer(line: Duplex, said = 'pages'): Promise<string> {
  line.write(said);
  const [heard] = await once(line, 'data');
  line.destroy();
  return String(heard);
}

describe('from agent to agent', () => {
  test('both connections of a hand-over go straight to the host that takes it', async () => {
    const order = orderTo(await opened(doorOf(identities.h2)));
    const dialler = diallerOf(identities.h1);
    for (const channel of ['control', 'memory'] as const)
      expect(await answer(await dialler.dial(order, channel))).toBe('pages');
    expect(connected).toEqual(['crm/db@2 control', 'crm/db@2 memory']);
    expect(relayed).toEqual([]);
  });

  test('whole memories come through unharmed, and each side hears when the other has said all', async () => {
    const order = orderTo(await opened(doorOf(identities.h2)));
    const line = await diallerOf(identities.h1).dial(order, 'memory');
    const sent = Buffer.alloc(24 << 20, 'memory of a guest ');
    line.end(sent);
    const heard: Buffer[] = [];
    for await (const chunk of line) heard.push(chunk as Buffer);
    expect(Buffer.concat(heard).equals(sent)).toBe(true);
  });

  test('a connection that is carried is left alone, however long nothing is said', async () => {
    const order = orderTo(await opened(doorOf(identities.h2, { greetingMs: 50 })));
    const dialler = diallerOf(identities.h1);
    const lines = [await dialler.dial(order, 'control'), await dialler.dial(order, 'memory')];
    // What has said nothing is looked for each second: it was looked for twice by the time these are closed.
    for (let look = 0; look < 2; look++) {
      const silent = connect({ host: order.direct?.address, port: order.direct?.port ?? 0 });
      await once(silent.resume(), 'close');
    }
    for (const line of lines) expect(await answer(line)).toBe('pages');
  });

  test('a connection closes with either of its ends', async () => {
    let near: Duplex = echo();
    const connectNear = async () => {
      near = echo();
      return near;
    };
    const order = orderTo(await opened(doorOf(identities.h2, { connect: connectNear })));
    const line = await diallerOf(identities.h1).dial(order, 'control');
    near.destroy();
    await once(line.resume(), 'close');
    const other = await diallerOf(identities.h1).dial(order, 'control');
    const closed = once(near, 'close');
    other.destroy();
    await closed;
  });
});

describe('nobody else comes in, and what cannot go straight goes through the controller', () => {
  const RELAYED = ['/agent/v1/migrations/crm/db/2/memory'];

  async function expectRelayed(from: LineIdentity, order: OutgoingMigration): Promise<void> {
    expect(await answer(await diallerOf(from).dial(order, 'memory'))).toBe('pages');
    expect(relayed).toEqual(RELAYED);
    expect(connected).toEqual([]);
  }

  test.each(['h3', 'stranger', 'controller'] as const)(
    '%s instead of the host that it comes from',
    async (who) => {
      await expectRelayed(identities[who], orderTo(await opened(doorOf(identities.h2))));
    },
  );

  test.each(['h3', 'stranger', 'controller'] as const)(
    '%s instead of the host that it goes to',
    async (who) => {
      const own = { ...identities[who], ca: identities.h1.ca };
      await expectRelayed(identities.h1, orderTo(await opened(doorOf(own))));
    },
  );

  test('a certificate from before its host joined anew, on either side', async () => {
    const laterMs = Date.now();
    const door = await opened(doorOf(identities.h2), { name: 'h1', certifiedFromMs: laterMs });
    await expectRelayed(identities.h1, orderTo(door));
    relayed = [];
    const other = await opened(doorOf(identities.h2));
    await expectRelayed(identities.h1, orderTo(other, { direct: { ...other, certifiedFromMs: laterMs } }));
  });

  test('another machine, or another incarnation, than is expected', async () => {
    const order = orderTo(await opened(doorOf(identities.h2)), { incarnation: 3 });
    await diallerOf(identities.h1).dial(order, 'memory');
    expect(relayed).toEqual(['/agent/v1/migrations/crm/db/3/memory']);
    expect(connected).toEqual([]);
  });

  test('what is not to be had there', async () => {
    const refuse = async () => {
      throw new WeftError('forbidden', 'no lease');
    };
    await expectRelayed(identities.h1, orderTo(await opened(doorOf(identities.h2, { connect: refuse }))));
  });

  test('a host that does not answer is asked once for each hand-over', async () => {
    let asked = 0;
    const silent = createServer((socket) => {
      asked++;
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const order = orderTo({ address: '127.0.0.1', port });
    const dialler = diallerOf(identities.h1);
    for (const channel of ['control', 'memory'] as const) await dialler.dial(order, channel);
    expect([asked, relayed.length]).toEqual([1, 2]);
    silent.close();
  });

  test('without a door, by an older agent or by configuration', async () => {
    expect(
      await doorOf(identities.h2, { listen: null }).open(DB, { name: 'h1', certifiedFromMs }),
    ).toBeNull();
    await expectRelayed(identities.h1, orderTo(null));
  });
});

describe('the door', () => {
  const closes = (socket: Duplex) =>
    new Promise<void>((resolve) => {
      socket.on('error', () => undefined);
      socket.resume().once('close', () => resolve());
    });

  test('closes on garbage, on those without a certificate, on silence and on other requests, and still lets in who is expected', async () => {
    const where = await opened(doorOf(identities.h2, { greetingMs: 300 }));
    const at = { host: where.address, port: where.port };
    const garbage = connect(at);
    garbage.write(Buffer.alloc(100_000, '\x16\x03\x01garbage'));
    await closes(garbage);
    await closes(connect(at));
    await closes(connectTls({ ...at, rejectUnauthorized: false }));
    const { ca, certificate: cert, key } = identities.h1;
    const known = { ...at, ca, cert, key, rejectUnauthorized: false };
    await closes(connectTls(known));
    for (const said of [
      'GET / HTTP/1.1\r\nhost: h2\r\n\r\n',
      `GET /${'x'.repeat(70_000)} HTTP/1.1\r\n`,
      '\0\r\n',
    ])
      await closes(
        connectTls(known, function (this: Duplex) {
          this.write(said);
        }),
      );
    expect(connected).toEqual([]);
    expect(await answer(await diallerOf(identities.h1).dial(orderTo(where), 'memory'))).toBe('pages');
    expect(relayed).toEqual([]);
  });

  test('is open only while somebody is expected, and what is on its way goes on when it shuts', async () => {
    const door = doorOf(identities.h2);
    const where = await opened(door);
    const other = { id: 'crm/files', incarnation: 5 };
    expect(await door.open(other, { name: 'h3', certifiedFromMs })).toEqual(where);
    const line = await diallerOf(identities.h1).dial(orderTo(where), 'memory');
    door.shut(DB);
    await diallerOf(identities.h1).dial(orderTo(where), 'memory');
    expect(relayed).toHaveLength(1);
    door.shut(other);
    const [error] = await once(connect({ host: where.address, port: where.port }), 'error').catch(
      (thrown) => [thrown],
    );
    expect(error.code).toBe('ECONNREFUSED');
    expect(await answer(line)).toBe('pages');
  });

  test('takes the first port of its range that is free', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const only = { address: '127.0.0.1', ports: { first: port, last: port } };
    const host = { name: 'h1', certifiedFromMs };
    expect(await doorOf(identities.h2, { listen: only }).open(DB, host)).toBeNull();
    const more = { ...only, ports: { first: port, last: Math.min(port + 20, 65_535) } };
    const found = await doorOf(identities.h2, { listen: more }).open(DB, host);
    expect(found?.port).toBeGreaterThan(port);
    taken.close();
  });
});

test('where a host listens is off, ports, or ports at an address that others reach', () => {
  const ports = { first: 7702, last: 7709 };
  expect(parseListen('off')).toBeNull();
  expect(parseListen('7702-7709')).toEqual({ address: null, ports });
  expect(parseListen('192.0.2.7:7702-7709')).toEqual({ address: '192.0.2.7', ports });
  expect(parseListen('[2001:db8::7]:7702')).toEqual({
    address: '2001:db8::7',
    ports: { first: 7702, last: 7702 },
  });
  for (const text of [
    ...['', 'on', '0', '70000', '7709-7702', '7702-', 'h1:7702', '2001:db8::7'],
    ...[
      '0.0.0.0:7702',
      '[::]:7702',
      '127.0.0.1:7702',
      '[::1]:7702',
      '[fe80::1]:7702',
      '192.0.2.7',
      '192.0.2.7:',
    ],
  ])
    expect(parseListen(text), text).toBeUndefined();
  const anywhere = { address: null, ports };
  expect(addressToListenOn(anywhere, '192.0.2.9')).toBe('192.0.2.9');
  expect(addressToListenOn(anywhere, '::ffff:192.0.2.9')).toBe('192.0.2.9');
  expect(addressToListenOn({ address: '192.0.2.7', ports }, '127.0.0.1')).toBe('192.0.2.7');
  for (const own of [null, '127.0.0.1', '::1', 'fe80::1%eth0'])
    expect(addressToListenOn(anywhere, own)).toBeNull();
});
