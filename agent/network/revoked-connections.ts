import type { Blocks } from './nft-blocks.ts';

/** More are not told apart: what is still declared is taken up again with its next packet. */
const MOST = 64;

/** Arguments of `conntrack --delete`, one list for each run of it. */
export type Deletions = readonly (readonly string[])[];

/**
 * What the kernel is to forget of connections when rules change: those of a flow that is not declared any more, and those of guests that
 * are gone, whose address may be another one's. The kernel lets through what belongs to a connection that it knows.
 * @param before null: it is not known what was let through. @param range of all guests, in both families: CIDRs.
 */
export function revokedConnections(
  table: string,
  before: Blocks | null,
  after: Blocks,
  range: readonly [string, string],
): Deletions {
  const between = [
    familyOf(4, ['-s', range[0], '-d', range[0]]),
    familyOf(6, ['-s', range[1], '-d', range[1]]),
  ];
  if (before === null) return between;
  const gone = (set: string) => {
    const key = `inet ${table} set ${set}`;
    const stays = new Set(after.get(key)?.items);
    return (before.get(key)?.items ?? []).filter((each) => !stays.has(each)).map((each) => each.split(' . '));
  };
  const deletions = ([4, 6] as const).flatMap((family) => [
    ...['flows', 'endpoints', 'any'].flatMap((set) =>
      gone(`${set}${family}`).map((flow) => familyOf(family, ofFlow(flow))),
    ),
    ...gone(`guests${family}`).flatMap(([, address = '']) =>
      ['-s', '-d'].map((side) => familyOf(family, [side, address])),
    ),
  ]);
  return deletions.length > MOST ? between : deletions;
}

const familyOf = (family: 4 | 6, args: readonly string[]) => ['-f', `ipv${family}`, ...args];

const ofFlow = ([from = '', to = '', protocol, port]: readonly string[]) => [
  ...['-s', from, '-d', to],
  ...(protocol === undefined || port === undefined ? [] : ['-p', protocol, '--dport', port]),
];
