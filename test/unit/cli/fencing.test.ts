import { beforeEach, describe, expect, test } from 'vitest';
import type { WeftError } from '../../../agent/kit/errors.ts';
import { hostConfirmDead, hostFenceTest } from '../../../controller/cli/commands/fencing.ts';
import type { Context } from '../../../controller/cli/context.ts';
import type { WeftClient } from '../../../controller/client/index.ts';

let printed: string;
let said: string;
let confirmed: string[];
const works = { device: 'fence_a (1 of 2)', ok: true, power: 'on', message: 'Status: ON', ms: 270 };
const fails = { device: 'fence_b (2 of 2)', ok: false, power: null, message: 'timed out', ms: 30_000 };
let tests: readonly unknown[];

beforeEach(() => {
  printed = '';
  said = '';
  confirmed = [];
  tests = [works, fails];
});

const client = {
  confirmDead: async (host: string) => void confirmed.push(host),
  fenceTest: async () => tests,
} as unknown as WeftClient;
const context = (json = false): Context => ({
  json,
  client: async () => client,
  print: (text) => {
    printed += text;
  },
  say: (text) => {
    said += `${text}\n`;
  },
});

describe('weft host confirm-dead', () => {
  test('without --yes explains what it means, and signs nothing', async () => {
    const error = (await hostConfirmDead
      .run(context(), ['h1'], {})
      .catch((thrown: unknown) => thrown)) as WeftError;
    expect(error.code).toBe('usage');
    expect(error.message).toContain('two copies of a machine write to one disk and destroy it');
    expect(error.remedy).toContain('weft host confirm-dead h1 --yes');
    expect(confirmed).toEqual([]);
  });

  test('with --yes signs', async () => {
    expect(await hostConfirmDead.run(context(), ['h1'], { yes: true })).toBe(0);
    expect(confirmed).toEqual(['h1']);
    expect(said).toContain('h1: signed');
  });
});

describe('weft host fence-test', () => {
  test('is a table, and fails when any device fails', async () => {
    expect(await hostFenceTest.run(context(), ['h1'], {})).toBe(1);
    expect(printed).toBe(
      [
        'DEVICE            RESULT  POWER  TOOK    IT SAYS',
        'fence_a (1 of 2)  works   on     270 ms  Status: ON',
        'fence_b (2 of 2)  fails   -      30.0 s  timed out',
        '',
      ].join('\n'),
    );
  });

  test('is what the controller said, as a document; and succeeds when all do', async () => {
    tests = [works];
    expect(await hostFenceTest.run(context(true), ['h1'], {})).toBe(0);
    expect(JSON.parse(printed)).toEqual([works]);
  });
});
