import { expect, test } from 'vitest';
import { Removal } from '../../../agent/wiring/removal.ts';

const FLEET = 'f1ee7000-0000-4000-8000-000000000001';

test('a host that was removed gives up what it announces and its network, once, and again where that failed', async () => {
  const done: unknown[] = [];
  let fails = true;
  const removal = new Removal({
    fleet: FLEET,
    edge: { follow: (goal) => done.push(['edge', goal]) },
    names: { follow: (wanted) => done.push(['names', wanted]) },
    network: {
      apply: async (part) => {
        done.push(['network', part]);
        if (fails) throw new Error('nft does not answer');
      },
    },
    log: { warn: () => undefined },
  });
  const all = [
    ['edge', undefined],
    ['names', {}],
    ['network', { fleet: FLEET, networks: [] }],
  ];
  await removal.isOut();
  expect(done).toEqual(all);
  fails = false;
  await Promise.all([removal.isOut(), removal.isOut()]);
  expect(done).toEqual([...all, ...all]);
  await removal.isOut();
  expect(done).toHaveLength(2 * all.length);

  removal.isIn();
  await removal.isOut();
  expect(done).toHaveLength(3 * all.length);
});
