import { describe, expect, test } from 'vitest';
import type { Context } from '../../../controller/cli/context.ts';
import { describeDrain, waitUntilEmpty } from '../../../controller/cli/drain-wait.ts';
import { rollOne, roundsOf } from '../../../controller/cli/roll.ts';
import { describeUnfinished, unfinishedRoll } from '../../../controller/cli/unfinished-roll.ts';
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

test('a host of an earlier try may be on its way through a boot, and no other', () => {
  const rows = [aRow('h1', 'a', 'down, maintenance'), aRow('h2', 'b')];
  expect(roundsOf(rows, [], ['h1'])).toEqual([['h1'], ['h2']]);
  expect(() => roundsOf(rows, [], ['h2'])).toThrow(/host h1 is down/);
});

describe('a roll that was not finished', () => {
  const roll = { id: '2026-01-02T03:04:05.678Z 0a1b2c3d', hosts: ['h1', 'h2', 'h3'] };
  const older = { id: '2026-01-01T00:00:00.000Z ffffffff', hosts: ['h1', 'h2', 'h3'] };
  const row = (name: string, marks: Partial<HostRow> = {}) => ({ ...aRow(name, name), ...marks });

  test('is known by what the hosts tell, whoever began it, and goes on with what is left', () => {
    const found = unfinishedRoll([
      row('h1', { rolled: roll }),
      row('h2', { rolled: older, roll: { ...roll, bootId: 'boot-1' } }),
      row('h3', { rolled: older }),
    ]);
    expect(found).toEqual({ roll, done: ['h1'], left: ['h2', 'h3'], atHand: ['h2'] });
    expect(found && describeUnfinished(found)).toBe(
      'the roll begun 2026-01-02T03:04:05: done h1; left h2, h3; h2 is drained',
    );
  });

  test('between two hosts, or at its first one, is one as well', () => {
    expect(unfinishedRoll([row('h1', { rolled: roll }), row('h2'), row('h3')])).toMatchObject({
      ...{ left: ['h2', 'h3'], atHand: [] },
    });
    expect(unfinishedRoll([row('h1', { roll: { ...roll, bootId: 'b' } }), row('h2')])).toMatchObject({
      ...{ done: [], left: ['h1', 'h2'], atHand: ['h1'] },
    });
  });

  test('is none when all of its hosts are done or gone, or a newer one is', () => {
    expect(unfinishedRoll([row('h1'), row('h2')])).toBe(null);
    expect(unfinishedRoll([row('h1', { rolled: roll }), row('h2', { rolled: roll })])).toBe(null);
    const newer = { id: '2026-01-03T00:00:00.000Z 00000000', hosts: ['h1'] };
    expect(unfinishedRoll([row('h1', { rolled: newer }), row('h2', { rolled: older })])).toBe(null);
  });

  test('does not boot a host another time that has come back meanwhile', async () => {
    const asked: string[] = [];
    let state = 'maintenance';
    const client = {
      listVms: async () => [],
      listHosts: async () => [
        { ...aRow('h2', 'b', state), bootId: 'boot-2', roll: { ...roll, bootId: 'boot-1' } },
      ],
      drainHost: async (host: string, options: object) =>
        asked.push(`drain ${host} ${JSON.stringify(options)}`),
      drainProgress: async () => draining([], { host: 'h2', mode: 'maintenance' }),
      rebootHost: async (host: string) => asked.push(`reboot ${host}`),
      undrainHost: async (host: string) => {
        asked.push(`undrain ${host}`);
        state = 'up';
      },
    } as unknown as WeftClient;
    const context = { say: () => undefined } as unknown as Context;
    await rollOne(context, client, ['h2'], { roll, program: null, cold: false, timeoutMs: 10_000 });
    expect(asked).toEqual([`drain h2 ${JSON.stringify({ cold: false, live: false, roll })}`, 'undrain h2']);
  });
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
