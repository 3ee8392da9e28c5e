import { expect, test } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';

const large = `${'0123456789abcde\n'.repeat(50_000)}the end`;

test('a program gets what it is to read, by a pipe or as a whole', async () => {
  for (const wholeInput of [false, true])
    expect((await exec('cat', [], { input: large, wholeInput })).stdout).toBe(large);
  expect((await exec('cat', [], { input: '', wholeInput: true })).stdout).toBe('');
});

test('input that is given as a whole is all there before the program begins', async () => {
  const { stdout } = await exec('stat', ['-L', '-c', '%F %s', '/dev/stdin'], {
    input: large,
    wholeInput: true,
  });
  expect(stdout).toBe(`regular file ${large.length}`);
});

test('without input there is nothing to read, and what fails says so', async () => {
  expect((await exec('cat', [])).stdout).toBe('');
  await expect(exec('sh', ['-c', 'cat; exit 3'], { input: 'x', wholeInput: true })).rejects.toMatchObject({
    code: 'command-failed',
    details: { exitCode: 3 },
  });
});
