import { existsSync, readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { playScenario } from './support/scenario.ts';

const FOLDER = join(import.meta.dirname, 'scenarios');
const names = readdirSync(FOLDER).sort();
const writes = process.env.WEFT_UPDATE_GOLDEN === '1';

test('there are scenarios, each with its story', () => {
  expect(names.length).toBeGreaterThanOrEqual(40);
  for (const name of names) expect(existsSync(join(FOLDER, name, 'README.md')), name).toBe(true);
});

describe('a scenario goes as its golden log says', () => {
  test.each(names)('%s', async (name) => {
    const log = await playScenario(join(FOLDER, name, 'script.json'));
    const golden = join(FOLDER, name, 'golden.log');
    if (writes) await writeFile(golden, log);
    expect(log).toBe(await readFile(golden, 'utf8'));
  });
});
