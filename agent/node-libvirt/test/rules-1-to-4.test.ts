import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Connection, ErrorCode, isLibvirtError, LibvirtError } from '../src/index.ts';
import { figuresOf, runProgram } from '../stress/program.ts';
import { testMachineXml } from './support/guest-xml.ts';
import { threadsNamed } from './support/process.ts';
import { until } from './support/wait.ts';

/** Threads, errors and memory, on libvirt’s own test driver. What needs a daemon that hangs or dies is in daemon.test.ts. */

let connection: Connection;
beforeEach(async () => {
  connection = await Connection.open('test:///default');
});
afterEach(() => connection.close());

describe('rule 1: one thread runs libvirt’s events, and it runs before the first connection opens', () => {
  test('a process that only loads the package has no such thread; its first connection hears events', async () => {
    const figures = figuresOf('first-open', await runProgram('first-open.mjs', []));
    expect(figures).toEqual({ before: 0, after: 1, events: ['defined', 'undefined'] });
  });

  test('more connections take no more event threads', async () => {
    const others = await Promise.all(Array.from({ length: 5 }, () => Connection.open('test:///default')));
    expect(threadsNamed('libvirt-events')).toBe(1);
    await Promise.all(others.map((each) => each.close()));
  });
});

describe('rule 2: each connection has worker threads of its own, which outlive its pool safely', () => {
  test('a connection makes no more threads than it may have, and they end with it', async () => {
    await until('no worker of an earlier test', () =>
      threadsNamed('libvirt-worker') <= 1 ? true : undefined,
    );
    const before = threadsNamed('libvirt-worker');
    const narrow = await Connection.open('test:///default', { workers: 2 });
    await Promise.all(Array.from({ length: 200 }, () => narrow.getCapabilities()));
    expect(threadsNamed('libvirt-worker') - before).toBeLessThanOrEqual(2);
    await narrow.close();
    await until('the workers’ end', () => (threadsNamed('libvirt-worker') === before ? true : undefined));
  });

  test('hundreds of connections come and go, ten at a time, and none of their threads stays', async () => {
    for (let round = 0; round < 40; round++) {
      const opened = await Promise.all(Array.from({ length: 10 }, () => Connection.open('test:///default')));
      await Promise.all(
        opened.map(async (each, index) => {
          const domain = await each.defineDomain(testMachineXml(`many-${index}`));
          await domain.undefine();
          await each.close();
        }),
      );
    }
    await until('their end', () => (threadsNamed('libvirt-worker') <= 4 ? true : undefined));
  });
});

describe('rule 3: an error is copied on the thread that made the call', () => {
  test('it carries libvirt’s code, domain, level and words', async () => {
    const error = await connection.lookupDomainByName('absent').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LibvirtError);
    expect(isLibvirtError(error, ErrorCode.NO_DOMAIN)).toBe(true);
    expect(isLibvirtError(error, ErrorCode.NO_NETWORK)).toBe(false);
    expect(error).toMatchObject({
      code: 42,
      codeName: 'VIR_ERR_NO_DOMAIN',
      domainName: 'VIR_FROM_TEST',
      level: 2,
      operation: 'domainLookupByName',
      message: 'Domain not found',
    });
  });

  test('of many calls that fail at once, each gets its own', async () => {
    const types = Array.from({ length: 400 }, (_, index) => `type-${index}-`);
    const messages = await Promise.all(
      types.map((type) =>
        connection
          .defineDomain(testMachineXml('wrong').replace("'test'", `'${type}'`))
          .catch((error: LibvirtError) => error.message),
      ),
    );
    for (const [index, type] of types.entries()) expect(messages[index]).toContain(type);
  });

  test('an error leaves nothing behind for the next call of its thread', async () => {
    const narrow = await Connection.open('test:///default', { workers: 1 });
    for (let round = 0; round < 20; round++) {
      await expect(narrow.lookupDomainByName('absent')).rejects.toMatchObject({
        codeName: 'VIR_ERR_NO_DOMAIN',
      });
      await expect(narrow.lookupNetworkByName('absent')).rejects.toMatchObject({
        codeName: 'VIR_ERR_NO_NETWORK',
      });
      expect((await narrow.lookupDomainByName('test')).name).toBe('test');
    }
    await narrow.close();
  });

  test('a code without a name in our table keeps its figure', () => {
    const error = new LibvirtError({ code: 9_999, domain: 8_888, level: 2, message: 'new' }, 'domainXml');
    expect([error.codeName, error.domainName]).toEqual(['VIR_ERR_9999', 'VIR_FROM_8888']);
  });
});

describe('rule 4: garbage collection never frees a handle in use', () => {
  test('handles that nobody keeps, under a collector that never rests', async () => {
    const figures = figuresOf('calls', await runProgram('calls.mjs', [7_000]));
    expect(figures.calls).toBeGreaterThanOrEqual(7_000);
    expect(figures.eventsHeard).toBe(figures.eventsMade);
  });

  test('a domain dropped while its call waits answers all the same, and is freed afterwards', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const collected: string[] = [];
    const registry = new FinalizationRegistry<string>((name) => collected.push(name));
    const ask = async (): Promise<Promise<string>[]> => {
      const [domain] = await connection.listAllDomains();
      if (domain === undefined) throw new Error('the test driver has a domain');
      registry.register(domain, domain.name);
      return Array.from({ length: 50 }, () => domain.getXML());
    };
    const answers = await ask();
    collect();
    for (const xml of await Promise.all(answers)) expect(xml).toContain('<name>test</name>');
    await until('its collection', () => {
      collect();
      return collected[0];
    });
  });
});
