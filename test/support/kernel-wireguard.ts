import { WeftError } from '../../agent/kit/errors.ts';
import { exec } from '../../agent/kit/exec.ts';

const NAMESPACE = `weft-wg-${process.pid}`;
const ip = (...words: readonly string[]) => exec('ip', words, { timeoutMs: 20_000 });

/** Why this machine's kernel makes no device of WireGuard, in its own words; null: it does. */
export async function whyNoKernelWireguard(): Promise<string | null> {
  await ip('netns', 'add', NAMESPACE);
  try {
    await ip('-n', NAMESPACE, 'link', 'add', 'try', 'type', 'wireguard');
    return null;
  } catch (error) {
    return WeftError.from(error).message.split('\n', 1)[0] ?? '';
  } finally {
    await ip('netns', 'delete', NAMESPACE);
  }
}
