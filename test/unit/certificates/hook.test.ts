import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HOOK_CLIENT_CONFIG, openHook } from '../../../controller/certificates/hook.ts';
import { refusal } from '../../support/refusal.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-hook-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const due = { name: 'shop', names: ['shop.example.org', '*.example.org'], why: 'there is none' };

async function hookOf(script: string) {
  const program = join(folder, 'hook');
  await writeFile(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const hook = await openHook(program, join(folder, 'secrets'));
  if (!hook) throw new Error('there is none');
  return hook;
}
const { signal } = new AbortController();

test('a hook is told what is wanted, and what it writes is taken; nothing is left of it', async () => {
  const hook = await hookOf(
    'echo "$* | $WEFT_CERTIFICATE | $WEFT_CERTIFICATE_NAMES | $WEFT_CERTIFICATE_FINGERPRINT | $WEFT_CONFIG" >"$WEFT_CERTIFICATE_FILE"',
  );
  const config = join(folder, 'secrets', HOOK_CLIENT_CONFIG);
  expect(await hook.obtain(due, 'ab', signal)).toBe(
    `shop shop.example.org *.example.org | shop | shop.example.org *.example.org | ab | ${config}`,
  );
  expect(await readdir(join(folder, 'secrets', 'obtaining'))).toEqual([]);
  expect(await (await hookOf(':')).obtain(due, null, signal)).toBeNull();
});

test('one that fails says why in its last words', async () => {
  const error = await refusal((await hookOf('echo no account >&2; exit 3')).obtain(due, null, signal));
  expect([error.code, error.message]).toEqual([
    'command-failed',
    expect.stringContaining('(exit 3): no account'),
  ]);
});

test('a program that cannot be run is refused when the controller starts', async () => {
  await writeFile(join(folder, 'plain'), '');
  for (const program of ['absent', 'plain']) {
    const error = await refusal(openHook(join(folder, program), folder));
    expect([error.code, error.message]).toEqual(['set-up', expect.stringContaining('--certificate-hook')]);
  }
  await writeFile(join(folder, HOOK_CLIENT_CONFIG), 'token');
  expect(await openHook(null, folder)).toBeNull();
  expect(await readdir(folder)).toEqual(['plain']);
});
