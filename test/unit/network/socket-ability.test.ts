import { expect, test } from 'vitest';
import { WeftError } from '../../../agent/kit/errors.ts';
import { SocketAbility } from '../../../agent/network/socket-rules.ts';

const refused = new WeftError('command-failed', 'nft --check failed (exit 1): No such file or directory');
const late = new WeftError('timeout', 'nft --check did not end within 10000 ms');

/** @param answers what the kernel says each time that it is asked; null: it takes the rule. */
function kernel(...answers: readonly (WeftError | null)[]) {
  const left = [...answers];
  return new SocketAbility(async () => {
    const answer = left.shift();
    if (answer === undefined) throw new Error('it is asked too often');
    if (answer !== null) throw answer;
  });
}

test('a kernel that cannot look for sockets is asked again when a module may have come, not with each write', async () => {
  const ability = kernel(refused, null);
  for (const nowMs of [0, 1, 10_000, 59_999]) expect(await ability.look(nowMs)).toBe(false);
  for (const nowMs of [60_000, 60_001, 1_000_000]) expect(await ability.look(nowMs)).toBe(true);
});

test('a try that came to nothing says nothing: the next write asks again', async () => {
  const ability = kernel(late, null);
  expect(await ability.look(0)).toBe(false);
  expect(await ability.look(1)).toBe(true);
});

test('a clock that is put back keeps nothing from being tried', async () => {
  const ability = kernel(refused, null);
  expect(await ability.look(10_000_000)).toBe(false);
  expect(await ability.look(0)).toBe(true);
});
