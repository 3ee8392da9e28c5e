import { expect, test } from 'vitest';
import { WeftError } from '../../../agent/kit/errors.ts';
import { ps } from '../../../controller/cli/commands/lists.ts';
import type { Context } from '../../../controller/cli/context.ts';
import type { WeftClient } from '../../../controller/client/index.ts';
import { refusal } from '../../support/refusal.ts';

const client = {
  listVms: async () => [],
  getApplication: async (app: string) => {
    if (app !== 'crm') throw new WeftError('not-found', `there is no application ${app}`);
    return {};
  },
} as unknown as WeftClient;

const context: Context = {
  json: true,
  client: async () => client,
  print: () => undefined,
  say: () => undefined,
};

test('VMs of an application that there is not are no empty list', async () => {
  expect(await ps.run(context, ['crm'], {})).toBe(0);
  expect(await ps.run(context, [], {})).toBe(0);
  expect((await refusal(Promise.resolve(ps.run(context, ['nope'], {})))).code).toBe('not-found');
});
