import { expect, test } from 'vitest';
import { OutOfReach } from '../../../agent/edge/out-of-reach.ts';
import type { EdgeGoal } from '../../../agent/protocol/index.ts';

const VIP = '192.0.2.200';
const goalOf = (priority: number, backends = 1): EdgeGoal => ({
  addresses: [{ address: VIP, prefix: 24, routerId: 1, priority, peers: ['192.0.2.2'] }],
  endpoints: [
    {
      ...{ id: 'crm/web/http', addresses: [VIP], port: 80, protocol: 'http', proxyProtocol: false },
      backends: Array.from({ length: backends }, (_, index) => ({
        ...{ name: `web-${index}.1`, address: '10.0.0.1', port: 80, state: 'ready' as const },
      })),
    },
  ],
});

class Host {
  readonly #outOfReach = new OutOfReach();
  readonly #goal: EdgeGoal;
  constructor(priority: number, backends?: number) {
    this.#goal = goalOf(priority, backends);
  }
  /** Its priority; undefined: it has no part in the address. */
  at(nowMs: number, isReached: boolean, isHeld: boolean): number | undefined {
    const sight = { reached: new Set(isReached ? ['crm/web/http'] : []), held: new Set(isHeld ? [VIP] : []) };
    return this.#outOfReach.choose(this.#goal, this.#goal.addresses, sight, nowMs)[0]?.priority;
  }
}

test('who has an address and reaches no backend gives it up, and comes back as one that comes after all others', () => {
  const host = new Host(254);
  expect(host.at(0, true, true)).toBe(254);
  expect(host.at(4_000, false, true)).toBe(254);
  expect(host.at(5_000, false, true)).toBeUndefined();
  expect(host.at(7_000, false, false)).toBeUndefined();
  expect(host.at(8_000, false, false)).toBe(127);
  expect(host.at(600_000, false, false)).toBe(127);
  expect(host.at(601_000, true, false)).toBe(254);
});

test('who does not have it stays where it is, after all others, and who has no other beside it keeps it', () => {
  const host = new Host(253);
  host.at(0, true, false);
  expect(host.at(5_000, false, false)).toBe(126);
  const none = new Host(253, 0);
  none.at(0, false, true);
  expect(none.at(60_000, false, true)).toBe(253);
});

/** Who has an address: of those that take part, the one that had it, or the one of the highest priority. */
function elect(priorities: readonly (number | undefined)[], holder: number): number {
  if (priorities[holder] !== undefined) return holder;
  const highest = Math.max(...priorities.map((each) => each ?? 0));
  return highest === 0 ? -1 : priorities.indexOf(highest);
}

test('where no host reaches anything one has the address all the same, and it moves less and less often', () => {
  const hosts = [new Host(254), new Host(253)];
  let holder = 0;
  let [moves, without] = [0, 0];
  for (let second = 0; second < 600; second++) {
    const priorities = hosts.map((host, index) => host.at(second * 1_000, second === 0, index === holder));
    const next = elect(priorities, holder);
    if (next !== holder) moves++;
    if (next === -1) without++;
    holder = next;
  }
  expect(holder).not.toBe(-1);
  expect(moves).toBeGreaterThan(0);
  expect(moves).toBeLessThan(30);
  expect(without).toBeLessThanOrEqual(3);
});

test('the one that reaches backends again has the address in the end', () => {
  const hosts = [new Host(254), new Host(253)];
  let holder = 0;
  for (let second = 0; second < 900; second++) {
    const reaches = (index: number) => second === 0 || (second > 300 && index === 1);
    const priorities = hosts.map((host, index) => host.at(second * 1_000, reaches(index), index === holder));
    holder = elect(priorities, holder);
  }
  expect(holder).toBe(1);
});
