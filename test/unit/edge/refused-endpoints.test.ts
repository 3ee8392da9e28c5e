import { expect, test } from 'vitest';
import { RefusedEndpoints } from '../../../agent/edge/refused-endpoints.ts';

const HTTP = 'crm/web/http';
const wanted = (edition = 'one') => new Map([[HTTP, edition]]);
const isWaiting = (refused: RefusedEndpoints, nowMs: number, edition?: string) =>
  refused.waiting(wanted(edition), nowMs).has(HTTP);

test('what is refused again and again is offered after waits that grow, and no further than to some minutes', () => {
  const refused = new RefusedEndpoints();
  let nowMs = 0;
  const waits = [];
  for (let count = 0; count < 8; count++) {
    refused.refuse(HTTP, 'one', 'cannot bind', nowMs);
    const beganMs = nowMs;
    while (isWaiting(refused, nowMs)) nowMs += 1_000;
    waits.push((nowMs - beganMs) / 1_000);
  }
  expect(waits).toEqual([15, 30, 60, 120, 240, 300, 300, 300]);
});

test('it waits on while others change, and not when it is another one, or was taken', () => {
  const refused = new RefusedEndpoints();
  refused.refuse(HTTP, 'one', 'cannot bind', 0);
  expect(refused.waiting(new Map([...wanted(), ['crm/web/more', 'new']]), 1_000)).toEqual(
    new Map([[HTTP, 'cannot bind']]),
  );
  expect(isWaiting(refused, 1_000, 'other')).toBe(false);
  refused.refuse(HTTP, 'one', 'cannot bind', 2_000);
  refused.taken(HTTP);
  expect(isWaiting(refused, 2_001)).toBe(false);
});
