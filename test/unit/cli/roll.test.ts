import { expect, test } from 'vitest';
import type { Context } from '../../../controller/cli/context.ts';
import { describeDrain, waitUntilEmpty } from '../../../controller/cli/drain-wait.ts';
import { roundsOf } from '../../../controller/cli/roll.ts';
import type { DrainRow, HostRow, WeftClient } from '../../../controller/client/index.ts';

const aRow = (name: string, faultDomain: string, state = 'up') => ({ name, faultDomain, state }) as HostRow;
const ROWS = [aRow('h3', 'a/2'), aRow('h1', 'a/1'), aRow('h2', 'a/1'), aRow('h4', 'b', 'maintenance')];

test('hosts of one fault domain are a round, and no round has two domains', () => {
  expect(roundsOf(ROWS, [])).toEqual([['h1', 'h2'], ['h3'], ['h4']]);
  expect(roundsOf(ROWS, ['h3', 'h2'])).toEqual([['h2'], ['h3']]);
});

test('nobody is rolled while another host is away, whichever is asked for', () => {
  expect(() => roundsOf([...ROWS, aRow('h5', 'c', 'down')], ['h1'])).toThrow(/host h5 is down/);
  expect(() => roundsOf(ROWS, ['h9'])).toThrow(/there is no host h9/);
});

const draining = (left: DrainRow['left'], overrides: Partial<DrainRow> = {}): DrainRow => ({
  ...{
    host: 'h1',
    state: 'up',
    mode: 'draining',
    asked: { atMs: 1, by: 'ann', cold: false, live: false },
    total: 3,
  },
  left,
  ...overrides,
});
const moving = { id: 'crm/web-0', state: 'ready', waitsFor: 'successor', reason: 'its successor is booting' };
const stuck = { id: 'crm/db', state: 'ready', waitsFor: 'operator', reason: 'waits for an operator' };

/** A controller that answers these, one after another. */
function following(...answers: readonly DrainRow[]) {
  const said: string[] = [];
  let next = 0;
  const client = {
    drainProgress: async () => answers[Math.min(next++, answers.length - 1)],
  } as unknown as WeftClient;
  const context = { say: (text: string) => said.push(text) } as unknown as Context;
  return { said, wait: (timeoutMs = 60_000) => waitUntilEmpty(context, client, 'h1', timeoutMs) };
}

test('a drain is followed to its end, and told when it changes', async () => {
  const { said, wait } = following(
    draining([moving]),
    draining([moving]),
    draining([], { mode: 'maintenance' }),
  );
  expect(await wait()).toMatchObject({ mode: 'maintenance' });
  expect(said).toEqual([describeDrain(draining([moving])).join('\n'), 'h1: empty, in maintenance']);
});

test('who waits is told at once when nothing more happens by itself, or the drain was ended', async () => {
  await expect(following(draining([stuck])).wait()).rejects.toThrow(
    /nothing more leaves it by itself: crm\/db/,
  );
  await expect(following(draining([moving, stuck])).wait(0)).rejects.toMatchObject({ code: 'timeout' });
  await expect(following(draining([], { asked: null, mode: 'in-service' })).wait()).rejects.toThrow(
    /does not drain any more/,
  );
});
