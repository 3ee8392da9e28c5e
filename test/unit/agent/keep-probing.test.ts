import { setImmediate as settled } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { keepProbing } from '../../../agent/guest/keep-probing.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { Endpoint } from '../../../agent/protocol/index.ts';

/** Probes of these names, tried every second; those named in `bad` do not pass. */
function probing(names: readonly string[]) {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const bad = new Set<string>();
  const told: string[] = [];
  const probe = { check: { type: 'tcp' as const }, intervalMs: 1_000, timeoutMs: 500 };
  const endpoints = names.map(
    (name): Endpoint => ({
      name,
      type: 'internal',
      protocol: 'tcp',
      port: 80,
      targetPort: 80,
      from: [],
      probe,
    }),
  );
  const over = keepProbing(
    endpoints,
    async ({ name }) => (bad.has(name) ? `${name} is bad` : null),
    (isReady, why) => told.push(`${isReady ? 'ready' : 'unready'}${why === null ? '' : `: ${why}`}`),
    clock,
    stop.signal,
  );
  return { clock, stop, bad, told, over };
}

test('three failures in a row make it unready, with the reason, and one success makes it ready', async () => {
  const { clock, bad, told, stop, over } = probing(['http']);
  bad.add('http');
  await clock.advance(2_000);
  bad.clear();
  await clock.advance(1_000);
  bad.add('http');
  await clock.advance(3_000);
  bad.clear();
  await clock.advance(1_000);
  expect(told).toEqual([...['ready', 'ready', 'ready', 'ready', 'ready', 'unready: http is bad'], 'ready']);
  stop.abort();
  await over;
});

test('it is ready only when every endpoint passes', async () => {
  const { clock, bad, told, stop, over } = probing(['http', 'admin']);
  bad.add('admin');
  await clock.advance(4_000);
  expect(told.slice(-2)).toEqual(['unready', 'unready: admin is bad']);
  stop.abort();
  await over;
});

test('who stops it need not wait for it: nothing is left that nobody hears of', async () => {
  const unheard: unknown[] = [];
  const hear = (reason: unknown) => unheard.push(reason);
  process.on('unhandledRejection', hear);
  const { stop, clock, over } = probing(['http', 'admin']);
  await clock.advance(500);
  stop.abort(new Error('it is past'));
  await settled();
  await settled();
  process.off('unhandledRejection', hear);
  expect(unheard).toEqual([]);
  await over;
});
