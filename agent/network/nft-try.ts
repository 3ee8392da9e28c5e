import { exec } from '../kit/exec.ts';
import { composeTableText } from './nft-text.ts';

const LIMIT_MS = 10_000;

/**
 * Whether this kernel and its nft take such rules. They are only checked: nothing is left behind. @param blocks sets and chains of a table.
 * @throws WeftError `command-failed` with what nft says, where they do not.
 */
export async function tryRules(blocks: readonly string[]): Promise<void> {
  const input = composeTableText('inet', 'weft_try', blocks);
  await exec('nft', ['--check', '-f', '-'], { input, wholeInput: true, timeoutMs: LIMIT_MS });
}
