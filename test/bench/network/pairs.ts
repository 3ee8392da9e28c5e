import { pairedRatio } from '../statistics.ts';

/** Path → what was read of it, one reading a round. */
export type Readings<Path extends string> = Readonly<Record<Path, number[]>>;

/** Who goes first changes from round to round, so that what changes slowly on this machine meets all alike. */
export async function takeRounds<Path extends string>(
  rounds: number,
  paths: readonly Path[],
  read: (path: Path) => Promise<number>,
): Promise<Readings<Path>> {
  const readings = Object.fromEntries(paths.map((path) => [path, []])) as unknown as Readings<Path>;
  for (let round = 0; round < rounds; round++)
    for (const index of paths.keys()) {
      const path = paths[(round + index) % paths.length];
      if (path !== undefined) readings[path].push(await read(path));
    }
  return readings;
}

export const ratioOf = <Path extends string>(readings: Readings<Path>, ours: Path, plain: Path): number =>
  pairedRatio(readings[ours], readings[plain]);
