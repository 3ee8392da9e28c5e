import { expect, test } from 'vitest';
import { describeMove, waitUntilMoved } from '../../../controller/cli/move-wait.ts';
import type { VmDetail, WeftClient } from '../../../controller/client/index.ts';

const LAST_MOVE = { atMs: 5, from: 'h1', to: 'h2', downtimeMs: 61, totalMs: 902 };
const vm = (overrides: Partial<VmDetail>) =>
  ({ id: 'crm/db', host: 'h1', incarnation: 1, state: 'ready', successor: null, ...overrides }) as VmDetail;
/** Answers one look after the other. */
const client = (...looks: VmDetail[]): Pick<WeftClient, 'getVm'> => ({
  getVm: async () => (looks.length > 1 ? looks.shift() : looks[0]) as VmDetail,
});

test('a move is waited for until it is ready there, and says for how long a machine stood still', async () => {
  const before = vm({});
  const successor = { host: 'h2', incarnation: 2, state: 'migrating' };
  const looks = [
    vm({ moveTo: '*' }),
    vm({ moveTo: '*', successor }),
    vm({ host: 'h2', state: 'starting' }),
    vm({ host: 'h2', lastMove: LAST_MOVE }),
  ];
  const moved = await waitUntilMoved(client(...looks), before, 60_000);
  expect(describeMove(before, moved)).toEqual([
    'crm/db: ready on h2',
    '  moved from h1 to h2 while it ran: it stood still for 61 ms, and all of it took 902 ms',
  ]);
  // One of an earlier time is no news.
  expect(describeMove(vm({ lastMove: LAST_MOVE }), moved)).toEqual(['crm/db: ready on h2']);
});

test('what stays is waited for no longer, and it says why, where that is known', async () => {
  const stays = vm({ stay: { message: 'no host can take it', failures: 3 } });
  const found = await waitUntilMoved(client(vm({ moveTo: 'h2' }), stays), vm({}), 60_000);
  expect(describeMove(vm({}), found)).toEqual(['crm/db: stays on h1: no host can take it']);
  await expect(waitUntilMoved(client(vm({ moveTo: 'h2' })), vm({}), 0)).rejects.toMatchObject({
    code: 'timeout',
  });
});

test('a move that cannot be judged yet says why, once, and at the end who refused it', async () => {
  const moveWait = { untilMs: 9, reason: 'h2 and h1 have yet to find each other in pool san' };
  const placement = {
    ...{ chosen: null, atMs: 1 },
    hosts: [{ host: 'h2', accepted: false, score: null, reasons: ['its pool san is another one'] }],
  };
  const told: string[] = [];
  const waits = vm({ moveTo: 'h2', moveWait });
  const looks = [waits, waits, vm({ moveTo: null, moveWait, placement })];
  const found = await waitUntilMoved(client(...looks), vm({}), 60_000, (line) => told.push(line));
  expect(told).toEqual([`crm/db: waits: ${moveWait.reason}`]);
  expect(describeMove(vm({}), found)).toEqual([
    'crm/db: stays on h1: no other host takes it: h2: its pool san is another one',
  ]);
});
