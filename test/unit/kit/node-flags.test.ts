import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nodeFlags } from '../../../agent/kit/node-flags.ts';

test('an agent of a checkout is run with the flags of an installed one', async () => {
  const file = join(import.meta.dirname, '../../../package.json');
  const { scripts } = JSON.parse(await readFile(file, 'utf8')) as { scripts: Record<string, string> };
  expect(scripts.agent).toContain(` ${nodeFlags('agent/main').join(' ')} agent/main.ts`);
});
