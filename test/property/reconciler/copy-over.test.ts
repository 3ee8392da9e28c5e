import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CopyOver, EVENTS, FAULTS, FENCES, type Happening } from './copy-over-model.ts';

/** Most of what is due happens, in any order; now and then something goes wrong, before or amid it. */
const roundWith = (faults: readonly Happening[]) =>
  fc
    .tuple(
      fc.shuffledSubarray<Happening>([...EVENTS], { minLength: 3 }),
      fc.option(fc.tuple(fc.constantFrom<Happening>(...faults), fc.nat(EVENTS.length)), { freq: 3 }),
    )
    .map(([events, fault]) =>
      fault === null ? events : [...events.slice(0, fault[1]), fault[0], ...events.slice(fault[1])],
    );

test('whatever dies, is lost or comes late: a disk that was copied has all that was written, or is not the machine’s, and never do two run', () =>
  holds(false, FAULTS));

test('the same of a disk that both hosts have, and that nothing locks, also where one of them is shut out of it', () =>
  holds(true, [...FAULTS, ...FENCES]));

function holds(sharesDisk: boolean, faults: readonly Happening[]): void {
  let arrived = 0;
  fc.assert(
    fc.property(fc.array(roundWith(faults), { maxLength: 25 }), (rounds) => {
      const copy = new CopyOver(sharesDisk);
      for (const each of rounds.flat()) {
        copy.happen(each);
        expect(copy.wrongs).toEqual([]);
      }
      // Nothing more goes wrong, and a host that lost its power is back.
      copy.happen('source host is back');
      for (let count = 0; count < 40; count++) for (const each of EVENTS) copy.happen(each);
      expect(copy.wrongs).toEqual([]);
      expect(copy.end).not.toBe(null);
      if (copy.end === 'there') arrived++;
      expect(copy.end === 'here' ? copy.here : copy.there).toBe('running');
      expect(copy.end === 'here' ? copy.there : copy.here).toBe('absent');
    }),
    { numRuns: Number(process.env.WEFT_RUNS ?? 4_000) },
  );
  expect(arrived).toBeGreaterThan(0);
}
