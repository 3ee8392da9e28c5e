import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openApiDocument } from '../../../controller/api/openapi.ts';

test('the committed description of the API is up to date', async () => {
  const file = join(import.meta.dirname, '../../../controller/api/openapi.json');
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(await openApiDocument());
});
