import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { joinStreams } from '../../../agent/kit/join-streams.ts';

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
