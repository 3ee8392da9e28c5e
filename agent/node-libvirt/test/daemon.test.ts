import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CallTimeoutError,
  Connection,
  ErrorCode,
  isLibvirtError,
  ReconnectingConnection,
} from '../src/index.ts';
import { emptyMachineXml } from './support/guest-xml.ts';
import { Heard } from './support/heard.ts';
import { PrivateLibvirt } from './support/private-libvirt.ts';
import { threadsNamed } from './support/process.ts';
import { timed, until } from './support/wait.ts';

/** The rules on a real libvirtd that is stopped and killed while calls and events are under way. */

/** A dead daemon is noticed in about 3 s. */
const QUICK = { intervalSeconds: 1, count: 2 };

let libvirt: PrivateLibvirt;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-libvirt-daemon-'));
  libvirt = await PrivateLibvirt.start({ name: 'daemon' });
});
afterAll(async () => {
  await libvirt?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Runs `body` while libvirtd is stopped. */
async function whileStopped(body: () => Promise<void>): Promise<void> {
  await libvirt.signal('STOP');
  try {
    await body();
  } finally {
    await libvirt.signal('CONT');
  }
}

test('a libvirtd of QEMU tells what it is, and has every kind of event', async () => {
  const connection = await Connection.open(libvirt.uri);
  expect((await connection.getVersions()).type).toBe('QEMU');
  expect(connection.unsupportedEvents).toEqual([]);
  expect(await connection.getHostname()).toBe('daemon');
  expect(await connection.setKeepAlive(QUICK)).toBe(true);
  expect(await connection.getDomainCapabilities({ type: 'qemu' })).toContain('<domain>qemu</domain>');
  await connection.close();
});

test('rule 8: sizes beyond 2^53 bytes come whole', async () => {
  const bytes = 2n ** 53n + 4_096n;
  await libvirt.run('truncate', '-s', String(bytes), '/run/small/vast');
  const connection = await Connection.open(libvirt.uri);
  const disk = `<disk type='file' device='disk'><driver type='raw'/><source file='/run/small/vast'/><target dev='vda' bus='virtio'/></disk>`;
  const domain = await connection.defineDomain(emptyMachineXml('vast', disk));
  const info = await domain.getBlockInfo('vda');
  expect(info).toEqual({ capacityBytes: bytes, allocationBytes: 0n, physicalBytes: bytes });
  await domain.undefine();
  await connection.close();
  await libvirt.run('rm', '/run/small/vast');
});

describe('rule 6: a call that hangs rejects in time, and blocks nothing else', () => {
  test('by its time limit and by its signal, while a stopped daemon says nothing', async () => {
    const connection = await Connection.open(libvirt.uri, { keepAlive: null });
    await whileStopped(async () => {
      const limited = await timed(connection.getHostname({ timeoutMs: 200 }));
      expect(limited.error).toBeInstanceOf(CallTimeoutError);
      const named = { code: 'ETIMEDOUT', operation: 'connectionHostname', timeoutMs: 200 };
      expect(limited.error).toMatchObject(named);
      expect(limited.ms).toBeLessThan(600);
      const reason = new Error('enough');
      const abort = new AbortController();
      setTimeout(() => abort.abort(reason), 100);
      const aborted = await timed(connection.getHostname({ signal: abort.signal }));
      expect(aborted.error).toBe(reason);
      expect(aborted.ms).toBeLessThan(500);
    });
    expect(await connection.getHostname()).toBe('daemon');
    await connection.close();
  });

  test('rule 2: many more hung calls than threads leave Node’s own pool, and other connections, alone', async () => {
    const connection = await Connection.open(libvirt.uri, { keepAlive: null, workers: 4 });
    const other = await Connection.open('test:///default');
    const file = join(folder, 'file');
    await whileStopped(async () => {
      const hung = Array.from({ length: 32 }, () => timed(connection.getHostname({ timeoutMs: 1_500 })));
      await until('all workers hang', () => (threadsNamed('libvirt-worker') >= 4 ? true : undefined));
      const quick = await timed(
        (async () => {
          // libuv has four threads for these.
          for (let round = 0; round < 20; round++) {
            await writeFile(file, `${round}`);
            expect(await readFile(file, 'utf8')).toBe(`${round}`);
          }
          for (let round = 0; round < 100; round++) await other.getCapabilities();
        })(),
      );
      expect(quick.error).toBeUndefined();
      expect(quick.ms).toBeLessThan(1_000);
      for (const end of await Promise.all(hung)) expect(end.error).toBeInstanceOf(CallTimeoutError);
    });
    await Promise.all([connection.close(), other.close()]);
  });

  test('calls that were given up on use up no worker: later ones still get through', async () => {
    const connection = await Connection.open(libvirt.uri, { keepAlive: null, workers: 2 });
    await libvirt.signal('STOP');
    const given = Array.from({ length: 6 }, () => timed(connection.getHostname({ timeoutMs: 100 })));
    for (const end of await Promise.all(given)) expect(end.error).toBeInstanceOf(CallTimeoutError);
    const later = connection.getHostname();
    await libvirt.signal('CONT');
    expect(await later).toBe('daemon');
    await connection.close();
  });

  test('waiting for the connection that is kept can be given up on, though nobody holds its limit', async () => {
    const reconnecting = new ReconnectingConnection(libvirt.uri);
    await whileStopped(async () => {
      reconnecting.start();
      const limited = timed(reconnecting.connection({ timeoutMs: 300 }));
      const abort = new AbortController();
      const aborted = timed(reconnecting.connection({ timeoutMs: 10_000, signal: abort.signal }));
      setFlagsFromString('--expose-gc');
      runInNewContext('gc')();
      const end = await limited;
      expect(end.error).toBeInstanceOf(CallTimeoutError);
      expect(end.ms).toBeLessThan(800);
      abort.abort(new Error('enough'));
      expect((await aborted).error).toMatchObject({ message: 'enough' });
    });
    await reconnecting.connection({ timeoutMs: 20_000 });
    await reconnecting.close();
  });

  test('opening can be given up on, and nothing of it stays', async () => {
    await until('no workers', () => (threadsNamed('libvirt-worker') === 0 ? true : undefined));
    await whileStopped(async () => {
      const end = await timed(Connection.open(libvirt.uri, { timeoutMs: 300 }));
      expect(end.error).toBeInstanceOf(CallTimeoutError);
      expect(end.ms).toBeLessThan(800);
    });
    await until('the end of the opening', () => (threadsNamed('libvirt-worker') === 0 ? true : undefined));
  });
});

describe('rule 5: keep-alive and reconnection', () => {
  test('a daemon that is killed: calls fail, close is told, and later calls fail at once', async () => {
    const connection = await Connection.open(libvirt.uri);
    const heard = new Heard(connection);
    await libvirt.signal('STOP');
    const waiting = Array.from({ length: 10 }, () => timed(connection.getCapabilities()));
    await libvirt.signal('KILL');
    for (const end of await Promise.all(waiting)) expect(isLibvirtError(end.error)).toBe(true);
    const closed = await heard.first('close');
    expect(['error', 'eof']).toContain(closed.reason);
    expect(connection.closed).toBe(true);
    expect(isLibvirtError((await timed(connection.getHostname())).error)).toBe(true);
    await expect(connection.isAlive()).resolves.toBe(false);
    await connection.close();
    expect(heard.of('close')).toHaveLength(1);
    await libvirt.answers();
  });

  test('a daemon that hangs is given up by keep-alive, which ends the calls that wait for it', async () => {
    const connection = await Connection.open(libvirt.uri, { keepAlive: QUICK });
    const heard = new Heard(connection);
    await whileStopped(async () => {
      const waiting = await timed(connection.getCapabilities());
      expect(isLibvirtError(waiting.error)).toBe(true);
      expect(waiting.ms).toBeLessThan(6_000);
      expect(await heard.first('close')).toEqual({ reason: 'keepalive' });
    });
    await connection.close();
  });

  test('after each kill the same emitter hears events of a new connection', async () => {
    const reconnecting = new ReconnectingConnection(libvirt.uri, {
      keepAlive: QUICK,
      backOff: { firstMs: 50, maximumMs: 200, factor: 2 },
    });
    const told: string[] = [];
    reconnecting.on('connected', () => told.push('connected'));
    reconnecting.on('disconnected', () => told.push('disconnected'));
    reconnecting.on('lifecycle', ({ domain, type }) => told.push(`${domain.name} ${type}`));
    const failures: number[] = [];
    reconnecting.on('attempt-failed', (event) => failures.push(event.failures));
    reconnecting.start();
    const before = await reconnecting.connection({ timeoutMs: 10_000 });
    for (const name of ['one', 'two']) {
      const connection = await reconnecting.connection({ timeoutMs: 10_000 });
      const domain = await connection.defineDomain(emptyMachineXml(name));
      await until('its event', () => (told.includes(`${name} defined`) ? true : undefined));
      await libvirt.signal('KILL');
      await until('the loss', () => (told.at(-1) === 'disconnected' ? true : undefined));
      expect(reconnecting.current).toBeNull();
      const next = await reconnecting.connection({ timeoutMs: 20_000 });
      expect(next).not.toBe(connection);
      await expect(domain.getState()).rejects.toMatchObject({ name: 'LibvirtError' });
      const again = await next.lookupDomainByName(name);
      await again.undefine();
      await until('its event', () => (told.includes(`${name} undefined`) ? true : undefined));
    }
    expect(told).toEqual(
      ['one', 'two'].flatMap((name, index) => [
        ...(index === 0 ? ['connected'] : []),
        `${name} defined`,
        'disconnected',
        'connected',
        `${name} undefined`,
      ]),
    );
    expect(failures.length).toBeGreaterThan(0);
    expect(before.closed).toBe(true);
    await reconnecting.close();
    expect(reconnecting.current).toBeNull();
    await expect(reconnecting.connection()).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('events that come while a connection closes, and a daemon that dies then, harm nothing', async () => {
    const maker = await Connection.open(libvirt.uri);
    let going = true;
    const making = (async () => {
      while (going) {
        const domain = await maker.defineDomain(emptyMachineXml('storm')).catch(() => null);
        await domain?.undefine().catch(() => undefined);
      }
    })();
    for (let round = 0; round < 20; round++) {
      const connection = await Connection.open(libvirt.uri, { timeoutMs: 10_000 });
      connection.on('lifecycle', () => {});
      await connection.close();
    }
    const last = await Connection.open(libvirt.uri);
    const killing = libvirt.signal('KILL');
    await last.close();
    going = false;
    await Promise.all([making, killing]);
    await maker.close();
    await libvirt.answers();
  });

  test('a closed connection says so, whatever its daemon does', async () => {
    const connection = await Connection.open(libvirt.uri, { keepAlive: QUICK });
    await whileStopped(async () => {
      const end = await timed(connection.close({ timeoutMs: 300 }));
      expect(end.error).toBeInstanceOf(CallTimeoutError);
      expect(end.ms).toBeLessThan(1_000);
    });
    await until('its end', async () => {
      const { error } = await timed(connection.getHostname({ timeoutMs: 1_000 }));
      return isLibvirtError(error, ErrorCode.INVALID_CONN) ? true : undefined;
    });
  });
});

test('secrets are defined, given a value that nobody reads back, listed and removed', async () => {
  const uuid = '5eed0000-0000-4000-8000-000000000001';
  const xml = `<secret ephemeral='yes' private='yes'><uuid>${uuid}</uuid><usage type='ceph'><name>a &amp; b</name></usage></secret>`;
  const connection = await Connection.open(libvirt.uri);
  expect(await connection.defineSecret(xml)).toBe(uuid);
  await connection.setSecretValue(uuid, new Uint8Array([1, 0, 255]));
  // Once more, as an agent does before each start.
  expect(await connection.defineSecret(xml)).toBe(uuid);
  await connection.setSecretValue(uuid, new Uint8Array([2, 0, 255]));
  expect(await connection.listAllSecrets()).toEqual([{ uuid, usage: 'ceph', usageId: 'a & b' }]);
  await connection.undefineSecret(uuid);
  expect(await connection.listAllSecrets()).toEqual([]);
  const isNone = (error: unknown) => isLibvirtError(error, ErrorCode.NO_SECRET);
  await expect(connection.undefineSecret(uuid)).rejects.toSatisfy(isNone);
  await expect(connection.setSecretValue(uuid, new Uint8Array(1))).rejects.toSatisfy(isNone);
  await connection.close();
});
