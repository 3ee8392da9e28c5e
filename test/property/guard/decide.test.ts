import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Action, decide, type Sight } from '../../../agent/guard/decide.ts';

const aWord = fc.constantFrom('before', 'last');
const aSight: fc.Arbitrary<Sight> = fc.record({
  nowMs: fc.integer({ min: 0, max: 100 }),
  lease: fc.option(
    fc.record({
      untilMs: fc.integer({ min: 0, max: 100 }),
      released: fc.boolean(),
      toldWord: fc.option(aWord),
    }),
  ),
  remaining: fc.option(fc.nat({ max: 3 })),
  watchdog: fc.constantFrom('none', 'closed', 'open'),
  neverStops: fc.boolean(),
  leaving: fc.option(fc.record({ word: aWord, untilMs: fc.integer({ min: 0, max: 100 }) })),
});

const isHeld = ({ nowMs, lease }: Sight) => lease !== null && !lease.released && nowMs < lease.untilMs;
const isReleased = ({ lease }: Sight) => lease?.released === true;
/** For each sight: what must be so of the actions. */
const always = (property: (actions: readonly Action[], sight: Sight) => boolean) =>
  fc.assert(
    fc.property(aSight, (sight) => property(decide(sight), sight)),
    { numRuns: 2_000 },
  );

describe('the guard', () => {
  test('feeds the watchdog only while the lease is held, released, or nothing on shared pools was found running', () => {
    always(
      (actions, sight) =>
        !actions.includes('feed') || isHeld(sight) || isReleased(sight) || sight.remaining === 0,
    );
  });

  test('never opens the watchdog without a lease: opening feeds', () => {
    always((actions, sight) => !actions.includes('arm') || (isHeld(sight) && sight.watchdog === 'closed'));
  });

  test('disarms only when the controller knows that it must not rely on it', () => {
    always(
      (actions, sight) =>
        !actions.includes('disarm') ||
        isReleased(sight) ||
        (sight.leaving !== null && sight.lease?.toldWord === sight.leaving.word),
    );
  });

  test('stops machines whenever the lease has run out and they are not known to be gone, and never else', () => {
    always((actions, sight) => {
      const isLost = sight.lease !== null && !isReleased(sight) && !isHeld(sight);
      return actions.includes('stop') === (isLost && sight.remaining !== 0);
    });
  });

  test('feeds or disarms what is open only, and does one thing with it', () => {
    always((actions, { watchdog }) => {
      const done = actions.filter((action) => action === 'feed' || action === 'disarm' || action === 'arm');
      return done.length <= 1 && (watchdog === 'open' || done.every((action) => action === 'arm'));
    });
  });

  test('ends only when it was asked to', () => {
    always((actions, { leaving }) => !actions.includes('end') || leaving !== null);
  });
});

describe('a guard that was asked to end', () => {
  const armed: Sight = {
    nowMs: 10,
    lease: { untilMs: 50, released: false, toldWord: 'before' },
    remaining: null,
    watchdog: 'open',
    neverStops: false,
    leaving: { word: 'last', untilMs: 30 },
  };

  test('goes on feeding until the controller knows, then disarms', () => {
    expect(decide(armed)).toEqual(['feed']);
    expect(decide({ ...armed, lease: { untilMs: 50, released: false, toldWord: 'last' } })).toEqual([
      'disarm',
      'end',
    ]);
  });

  test('that cannot tell anybody ends with the watchdog armed', () => {
    expect(decide({ ...armed, nowMs: 30 })).toEqual(['feed', 'end']);
  });

  test('with a device that nothing disarms ends as soon as the controller knows', () => {
    const told = { untilMs: 50, released: false, toldWord: 'last' };
    expect(decide({ ...armed, neverStops: true, lease: told })).toEqual(['end']);
  });

  test('that has guarded nothing yet just ends', () => {
    expect(decide({ ...armed, lease: null, watchdog: 'none' })).toEqual(['end']);
  });
});
