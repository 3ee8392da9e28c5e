import { pairedRatio } from '../statistics.ts';

export type Readings = { readonly ours: number[]; readonly plain: number[] };

/** Who goes first alternates, so that what changes slowly on this machine meets both alike. */
export async function takePairs(
  rounds: number,
  read: (path: keyof Readings, round: number) => Promise<number>,
): Promise<Readings> {
  const readings: Readings = { ours: [], plain: [] };
  for (let round = 0; round < rounds; round++)
    for (const path of round % 2 === 0 ? (['ours', 'plain'] as const) : (['plain', 'ours'] as const))
      readings[path].push(await read(path, round));
  return readings;
}

export const ratioOf = ({ ours, plain }: Readings): number => pairedRatio(ours, plain);
