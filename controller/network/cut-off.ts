import type { NetworkWorld } from '../reconciler/network-world.ts';

/**
 * Why no host carries what is declared: all of it would have to go between two hosts of which one does not encrypt, where all has to be
 * encrypted. Null: some of it is carried, or has no place yet.
 * @param from hosts of one end. @param to hosts of the other.
 */
export function notCarried(
  from: readonly string[],
  to: readonly string[],
  { hosts }: Pick<NetworkWorld, 'hosts'>,
): string | null {
  const problemOf = (host: string) => {
    const standing = hosts.get(host)?.encryption;
    return standing?.state === 'alone' ? (standing.problem ?? 'it cannot encrypt') : null;
  };
  const isCarried = (one: string, other: string) =>
    one === other || (problemOf(one) === null && problemOf(other) === null);
  if (from.length === 0 || to.length === 0) return null;
  if (from.some((one) => to.some((other) => isCarried(one, other)))) return null;
  const alone = [...from, ...to].find((host) => problemOf(host) !== null) ?? '';
  return `it would go to or from ${alone} unencrypted, which it may not: ${problemOf(alone)}`;
}
