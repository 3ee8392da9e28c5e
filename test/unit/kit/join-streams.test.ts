import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { afterEach, expect, test, vi } from 'vitest';
import { joinStreams } from '../../../agent/kit/join-streams.ts';

afterEach(() => vi.unstubAllGlobals());

/** Takes what is written only when it is let. */
function slow(): { readonly end: Duplex; readonly taken: () => number; readonly take: () => void } {
  let bytes = 0;
  let done: (() => void) | null = null;
  const end = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, written) {
      bytes += chunk.length;
      done = written;
    },
  });
  return { end, taken: () => bytes, take: () => done?.() };
}

test('a side that takes nothing is sent no more than a little, and the rest when it does', async () => {
  let asked = 0;
  const fast = new Duplex({
    read() {
      asked++;
      this.push(Buffer.alloc(65_536));
    },
    write: (_chunk, _encoding, done) => done(),
  });
  const { end, take, taken } = slow();
  joinStreams(fast, end);
  const settled = async () => {
    for (let before = -1; before !== asked; await new Promise((resolve) => setImmediate(resolve)))
      before = asked;
  };
  await settled();
  expect(fast.isPaused()).toBe(true);
  const held = asked * 65_536;
  expect(held).toBeLessThan(4 << 20);
  while (taken() < held) {
    take();
    await settled();
  }
  expect(asked * 65_536).toBeGreaterThan(held);
  fast.destroy();
  await once(end, 'close');
});

test('what was carried is cleared away after each piece, where V8 lets it', async () => {
  const gc = vi.fn();
  vi.stubGlobal('gc', gc);
  const carried = async (pieces: number) => {
    const from = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    const to = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    // As a connection is that was accepted before its other half was there.
    from.pause();
    joinStreams(from, to);
    for (let piece = 0; piece < pieces; piece++) from.push(Buffer.alloc(1 << 20));
    from.push(null);
    await once(to, 'finish');
    return gc.mock.calls.length;
  };
  expect(await carried(1)).toBe(0);
  expect(await carried(5)).toBe(2);
  expect(gc).toHaveBeenCalledWith({ type: 'minor' });
});
