import { expect, test } from 'vitest';
import { digestOf } from '../../../agent/kit/digest.ts';
import type { Goal } from '../../../agent/protocol/index.ts';
import { certificateForHost } from '../../../controller/fleet/certificates.ts';
import { refusal } from '../../support/refusal.ts';

const pem = 'certificate and key';
const digest = digestOf(pem);
const files = { read: async (name: string): Promise<string | null> => (name === 'shop' ? pem : null) };
const goalOf = (...certificates: readonly { name: string; digest: string }[]) =>
  ({ edge: { addresses: [], endpoints: [], certificates } }) as unknown as Goal;
const ask = (goal: Goal | null, name = 'shop', asked: string | null = digest, from = files) =>
  certificateForHost(goal, from, { host: 'h1', name, digest: asked });

test('a host is given the certificates that its goal names, as they are named there, and no others', async () => {
  const goal = goalOf({ name: 'shop', digest });
  expect(await ask(goal)).toEqual({ digest, pem });
  for (const refused of [
    ask(null),
    ask({} as Goal),
    ask(goalOf()),
    ask(goalOf({ name: 'crm', digest })),
    ask(goal, 'crm'),
    ask(goal, 'shop', null),
    ask(goal, 'shop', digestOf('another one')),
  ])
    expect((await refusal(refused)).code).toBe('forbidden');
});

test('a file that is gone, or another one, is not given away', async () => {
  const goal = goalOf({ name: 'shop', digest });
  for (const found of [null, 'another one']) {
    const error = await refusal(ask(goal, 'shop', digest, { read: async () => found }));
    expect(error.code).toBe('not-found');
    expect(error.remedy).toContain('weft certificate put shop');
  }
});
