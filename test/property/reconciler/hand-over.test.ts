import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EVENTS, FAULTS, HandOver, type Happening } from './hand-over-model.ts';

/** Most of what is due happens, in any order; now and then something goes wrong, before or amid it. */
const round = fc
  .tuple(
    fc.shuffledSubarray<Happening>([...EVENTS], { minLength: 3 }),
    fc.oneof(
      { weight: 2, arbitrary: fc.constant(null) },
      {
        weight: 1,
        arbitrary: fc.tuple(
          fc.constantFrom<Happening>(...FAULTS, 'it is called off', 'connection is lost at the end'),
          fc.nat(EVENTS.length),
        ),
      },
    ),
  )
  .map(([events, fault]) =>
    fault === null ? events : [...events.slice(0, fault[1]), fault[0], ...events.slice(fault[1])],
  );

test('whatever dies, is lost or comes late: never do two run, and whoever is decided to have it is not the one that does not', () => {
  fc.assert(
    fc.property(fc.array(round, { maxLength: 25 }), (rounds) => {
      const handOver = new HandOver();
      for (const each of rounds.flat()) {
        handOver.happen(each);
        expect(handOver.wrongs).toEqual([]);
      }
      // Nothing more goes wrong, and a dead host is proven to be.
      handOver.happen('death is proven');
      for (let count = 0; count < 40; count++) for (const each of EVENTS) handOver.happen(each);
      expect(handOver.wrongs).toEqual([]);
      expect(handOver.end).not.toBe(null);
      expect(handOver.end === 'here' ? handOver.here : handOver.there).toBe('running');
      expect(handOver.end === 'here' ? handOver.there : handOver.here).toBe('absent');
    }),
    { numRuns: Number(process.env.WEFT_RUNS ?? 4_000) },
  );
});
