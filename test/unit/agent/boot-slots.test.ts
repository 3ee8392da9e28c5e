import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BootSlots, bootsAtOnce } from '../../../agent/executor/boot-slots.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';

const NEVER = new AbortController().signal;
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('boot slots', () => {
  it('go to who came first, and one that is given back twice counts once', async () => {
    const slots = new BootSlots(1, new VirtualClock());
    const order: string[] = [];
    const told: number[] = [];
    const take = (name: string) =>
      slots
        .take(NEVER, (taken) => told.push(taken))
        .then((giveBack) => {
          order.push(name);
          return giveBack;
        });
    const first = await take('first');
    const second = take('second');
    const third = take('third');
    await settle();
    expect([order, told]).toEqual([['first'], [1, 1]]);
    first();
    first();
    const giveBack = await second;
    await settle();
    expect(order).toEqual(['first', 'second']);
    giveBack();
    await third;
    expect(order).toEqual(['first', 'second', 'third']);
  });

  it('are left to the next by a guest that does not answer for two minutes', async () => {
    const clock = new VirtualClock();
    const slots = new BootSlots(1, clock);
    await slots.take(NEVER);
    let began = false;
    void slots.take(NEVER).then(() => {
      began = true;
    });
    await clock.advance(119_000);
    expect(began).toBe(false);
    await clock.advance(2_000);
    expect(began).toBe(true);
  });

  it('are never more than the limit, and none is lost, whoever gives up waiting', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.constantFrom('take', 'give', 'leave'), { maxLength: 60 }),
        async (limit, acts) => {
          const slots = new BootSlots(limit, new VirtualClock());
          const held: (() => void)[] = [];
          const waiting: AbortController[] = [];
          for (const act of acts) {
            if (act === 'give') held.shift()?.();
            else if (act === 'leave') waiting.pop()?.abort(new Error('left'));
            else {
              const stop = new AbortController();
              waiting.push(stop);
              slots
                .take(stop.signal)
                .then((giveBack) => held.push(giveBack))
                .catch(() => undefined)
                .finally(() => waiting.splice(waiting.indexOf(stop), 1));
            }
            await settle();
            expect(held.length).toBeLessThanOrEqual(limit);
            if (waiting.length > 0) expect(held.length).toBe(limit);
          }
        },
      ),
    );
  });

  it('are as many as the processors without virtualization, and more with it', () => {
    expect([bootsAtOnce('tcg', 2), bootsAtOnce('tcg', 0), bootsAtOnce('kvm', 2)]).toEqual([2, 1, 8]);
  });
});
