import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Connection, ReconnectingConnection } from '../src/index.ts';
import { Library } from '../src/library.ts';
import type { NativeAddon, NativeMessage, NativeSession } from '../src/native.ts';
import { Stream } from '../src/stream.ts';
import { runProgram } from '../stress/program.ts';
import { testMachineXml } from './support/guest-xml.ts';
import { Heard } from './support/heard.ts';

/** An addon whose messages come when the test says so. What a message means is the same; who sends it is not libvirt. */
class ScriptedAddon {
  readonly calls: { readonly operation: string; readonly call: number }[] = [];
  readonly held: boolean[] = [];
  readonly cancelled: number[] = [];
  #dispatch: (batch: readonly NativeMessage[]) => void = () => {};

  readonly addon: NativeAddon = {
    start: (dispatch) => {
      this.#dispatch = dispatch;
      const own = {
        hold: (alive: boolean) => this.held.push(alive),
        cancel: (call: number) => this.cancelled.push(call),
      };
      return new Proxy(own, {
        get: (target, name) =>
          Reflect.get(target, name) ?? ((call: number) => this.calls.push({ operation: String(name), call })),
      }) as unknown as NativeSession;
    },
  };

  deliver(...batch: NativeMessage[]): void {
    this.#dispatch(batch);
  }
}

const opened = (call: number) =>
  ({ call, value: { handle: {}, number: 7, unsupportedEvents: [], keepAlive: true } }) as const;

test('a connection that is lost in the batch that opens it still tells so', async () => {
  const scripted = new ScriptedAddon();
  const opening = Connection.open('test:///default', {}, new Library(scripted.addon));
  const stopped = { domain: { name: 'a', uuid: 'u', id: null }, type: 5, detailCode: 0 };
  scripted.deliver(
    opened(1),
    { connection: 7, event: 'lifecycle', payload: stopped },
    { connection: 7, event: 'close', payload: { reason: 1 } },
  );
  const connection = await opening;
  expect(connection.closed).toBe(true);
  const heard = new Heard(connection);
  await heard.first('close');
  expect(heard.all.map((each) => each.name)).toEqual(['lifecycle', 'close']);
  expect(heard.of('close')).toEqual([{ reason: 'eof' }]);
});

test('notices that come before the early ones are told keep their order', async () => {
  const scripted = new ScriptedAddon();
  const opening = Connection.open('test:///default', {}, new Library(scripted.addon));
  const notice = (name: string) =>
    ({
      connection: 7,
      event: 'lifecycle',
      payload: { domain: { name, uuid: 'u', id: null }, type: 2, detailCode: 0 },
    }) as const;
  scripted.deliver(opened(1), notice('first'));
  const heard = new Heard(await opening);
  scripted.deliver(notice('second'));
  await sleep(5);
  scripted.deliver(notice('third'));
  expect(heard.of('lifecycle').map((event) => event.domain.name)).toEqual(['first', 'second', 'third']);
});

test('a listener’s error is its owner’s: connecting, reconnecting and closing go on', async () => {
  const thrown: string[] = [];
  const former = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => thrown.push(error.message));
  try {
    const reconnecting = new ReconnectingConnection('test:///default', {
      backOff: { firstMs: 1, maximumMs: 1, factor: 1 },
    });
    let connections = 0;
    for (const name of ['connected', 'disconnected'] as const)
      reconnecting.on(name, () => {
        if (name === 'connected') connections++;
        throw new Error(name);
      });
    reconnecting.start();
    const first = await reconnecting.connection();
    first.on('close', () => {
      throw new Error('closed');
    });
    await first.close();
    while (connections < 2) await sleep(5);
    expect((await reconnecting.connection()).closed).toBe(false);
    await reconnecting.close();
    await sleep(5);
    expect(thrown).toEqual(['connected', 'closed', 'disconnected', 'connected', 'disconnected']);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of former) process.on('uncaughtException', listener);
  }
});

test('the process is held exactly while a call is under way', async () => {
  const scripted = new ScriptedAddon();
  const library = new Library(scripted.addon);
  const calls = [library.run('networkXml', [{} as never, 0]), library.run('networkXml', [{} as never, 0])];
  expect(scripted.held).toEqual([true]);
  scripted.deliver({ call: 1, value: 'a' });
  expect(scripted.held).toEqual([true]);
  scripted.deliver({ call: 2, value: 'b' });
  expect(await Promise.all(calls)).toEqual(['a', 'b']);
  expect(scripted.held).toEqual([true, false]);
});

test('a withdrawn call is cancelled once, and its late end is nobody’s', async () => {
  const scripted = new ScriptedAddon();
  const library = new Library(scripted.addon);
  const abort = new AbortController();
  const call = library.run('networkXml', [{} as never, 0], { signal: abort.signal, timeoutMs: 20 });
  abort.abort(new Error('enough'));
  await expect(call).rejects.toThrow('enough');
  await sleep(30);
  scripted.deliver({ call: 1, value: 'late' });
  expect(scripted.cancelled).toEqual([1]);
  expect(scripted.held).toEqual([true, false]);
});

test('many calls on one signal are no leak to Node, and all end with it', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const scripted = new ScriptedAddon();
  const library = new Library(scripted.addon);
  const abort = new AbortController();
  const calls = Array.from({ length: 50 }, () =>
    library.run('networkXml', [{} as never, 0], { signal: abort.signal }),
  );
  scripted.deliver({ call: 1, value: 'a' });
  abort.abort(new Error('enough'));
  const ends = await Promise.allSettled(calls);
  expect(ends.map((end) => end.status)).toEqual(['fulfilled', ...Array(49).fill('rejected')]);
  expect(scripted.cancelled).toHaveLength(49);
  await sleep(10);
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});

test('a second read of a stream at the same time is refused; after the first, reads go on', async () => {
  const scripted = new ScriptedAddon();
  const stream = new Stream(new Library(scripted.addon), {} as never);
  const first = stream.read();
  await expect(stream.read()).rejects.toThrow('being read already');
  scripted.deliver({ call: 1, value: Buffer.from('a') });
  expect(await first).toEqual(Buffer.from('a'));
  const withdrawn = stream.read({ timeoutMs: 1 });
  await expect(withdrawn).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  const next = stream.read();
  scripted.deliver({ call: 3, value: null });
  expect(await next).toBeNull();
});

test('two copies of the package in one process do not disturb each other', async () => {
  const copy = (await import('../dist/index.js' as string)) as typeof import('../src/index.ts');
  expect(copy.Connection).not.toBe(Connection);
  const [ours, theirs] = await Promise.all([
    Connection.open('test:///default'),
    copy.Connection.open('test:///default'),
  ]);
  const [oursHeard, theirsHeard] = [new Heard(ours), new Heard(theirs as unknown as Connection)];
  for (let round = 0; round < 20; round++) {
    const [a, b] = await Promise.all([
      ours.defineDomain(testMachineXml('ours')),
      theirs.defineDomain(testMachineXml('theirs')),
    ]);
    await Promise.all([a.undefine(), b.undefine()]);
  }
  await sleep(50);
  for (const heard of [oursHeard, theirsHeard]) expect(heard.of('lifecycle')).toHaveLength(80);
  await Promise.all([ours.close(), theirs.close()]);
});

test.for(['exit', 'throw', 'signal', 'abandon', 'worker'])(
  'a process may end in the middle of everything (%s)',
  async (manner) => {
    // A Worker's end is refused by V8 at odd moments, so it is tried at more of them.
    const moments =
      manner === 'worker' ? Array.from({ length: 20 }, (_, index) => index * 4) : [0, 3, 10, 30];
    for (const ms of moments)
      expect(
        await runProgram('exit.mjs', ['test:///default', manner, ms], { nodeFlags: [], limitMs: 30_000 }),
      ).toMatchObject({ code: 0, signal: null, errors: '' });
  },
);
