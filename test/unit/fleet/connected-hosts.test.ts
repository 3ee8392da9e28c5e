import { EventEmitter } from 'node:events';
import { beforeEach, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import { ConnectedHosts } from '../../../controller/fleet/connected-hosts.ts';
import { aHello } from '../../support/builders/host.ts';
import { refusal } from '../../support/refusal.ts';
import { waitFor } from '../../support/wait-for.ts';

/** The controller's end of a host's connection. */
class Line extends EventEmitter {
  readonly sent: string[] = [];
  send = (text: string) => this.sent.push(text);
  close = () => undefined;
  terminate = () => undefined;
}

let clock: VirtualClock;
let hosts: ConnectedHosts;
beforeEach(() => {
  clock = new VirtualClock(1_000_000);
  hosts = new ConnectedHosts({
    ...{ clock, log: createLogger('test', 'silent'), fleet: { uuid: 'f', epoch: 1 } },
    leases: { note: async () => ({}), grant: async () => null },
  } as never);
});

/** A host dials. */
function dial(): Line {
  const line = new Line();
  hosts.begin('h1', line as unknown as WebSocket);
  return line;
}
const greet = (line: Line) => line.emit('message', JSON.stringify(aHello('h1')));
/** Whether it has come to an end, and how. */
function watch(session: Promise<unknown>) {
  const seen = { end: 'waits' };
  session.then(
    () => {
      seen.end = 'is there';
    },
    (error: Error) => {
      seen.end = error.message;
    },
  );
  return seen;
}
const settled = () => new Promise((resolve) => setImmediate(resolve));
const isThere = (seen: { end: string }) =>
  waitFor(
    'a session',
    async () => seen.end,
    (end) => end === 'is there',
  );

test('a host that has not said hello is not asked for anything', async () => {
  const line = dial();
  expect((await refusal((async () => hosts.session('h1'))())).code).toBe('host-unreachable');
  greet(line);
  await waitFor(
    'a welcome',
    async () => line.sent.length,
    (count) => count > 0,
  );
  await hosts.sessionSoon('h1');
});

test('a controller that has just begun waits for the hosts that it will hear of', async () => {
  const seen = watch(hosts.sessionSoon('h1'));
  await clock.advance(4_000);
  await settled();
  expect(seen.end).toBe('waits');
  greet(dial());
  await isThere(seen);
});

test('who has gone is waited for, and only for so long after that', async () => {
  const line = dial();
  greet(line);
  await isThere(watch(hosts.sessionSoon('h1')));
  await clock.advance(60_000);
  line.emit('close', 1006, Buffer.from(''));
  await clock.advance(3_000);
  const seen = watch(hosts.sessionSoon('h1'));
  await settled();
  expect(seen.end).toBe('waits');
  await clock.advance(2_000);
  await settled();
  expect(seen.end).toBe('host h1 is not connected');
  expect(await refusal(hosts.sessionSoon('h1'))).toMatchObject({ code: 'host-unreachable' });
});
