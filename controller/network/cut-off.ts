import type { NetworkWorld } from '../reconciler/network-world.ts';

/**
 * Why no host carries what is declared: all of it would have to go between two hosts of which one does not encrypt, where it has to be
 * encrypted. Null: some of it is carried, or has no place yet.
 * @param from hosts of one end. @param to hosts of the other.
 */
export function notCarried(
  from: readonly string[],
  to: readonly string[],
  { hosts }: Pick<NetworkWorld, 'hosts'>,
): string | null {
  const standingOf = (host: string) => hosts.get(host)?.encryption ?? null;
  /** Of what goes between two hosts: why this one of them cannot. */
  const problemOf = (host: string, other: string) => {
    const standing = standingOf(host);
    if (standing?.state === 'alone') return standing.problem ?? 'it cannot encrypt';
    if (standing?.state === 'untold') return standing.problem ?? 'its agent has not heard of it';
    // With one that cannot encrypt it goes on in the open, where it may.
    const isBroken = standing?.state === 'broken' && standingOf(other)?.state !== 'open';
    return isBroken ? (standing.problem ?? 'its tunnel does not stand') : null;
  };
  const pairs = from.flatMap((one) => to.map((other) => [one, other] as const));
  const obstacles = pairs.map(([one, other]) => {
    if (one === other) return null;
    const problems = [problemOf(one, other), problemOf(other, one)];
    const found = problems.findIndex((problem) => problem !== null);
    return found < 0 ? null : { host: found === 0 ? one : other, problem: problems[found] };
  });
  const [obstacle] = obstacles;
  if (!obstacle || obstacles.includes(null)) return null;
  const isUntold = standingOf(obstacle.host)?.state === 'untold';
  const what = isUntold ? 'may not arrive' : 'would go unencrypted, which it may not';
  return `what goes to or from ${obstacle.host} ${what}: ${obstacle.problem}`;
}
