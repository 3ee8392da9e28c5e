import { asPrefix, overlap } from '../kit/addressing.ts';
import { readFlowElement } from './flow-key.ts';
import type { Blocks } from './nft-blocks.ts';
import type { RouterPart } from './router-part.ts';

/** More runs are too many: then all between the subnets that they are about is forgotten. What is still declared is taken up again with its next packet. */
const MOST = 128;

/** Arguments of `conntrack --delete`, one list for each run of it. */
export type Deletions = readonly (readonly string[])[];

type Family = 4 | 6;
/** Of both families: CIDRs. */
type Range = readonly [string, string];

/** What is gone: connections between two ends, which are addresses or CIDRs. */
interface Gone {
  readonly family: Family;
  readonly from: string;
  readonly to: string;
  /** Protocol and port of the end that is connected to. Absent: all. */
  readonly service?: readonly [string, string];
}

/**
 * What the kernel is to forget of connections when rules change: those of a flow that is not declared any more, and those of guests that
 * are gone, whose address may be another one's. The kernel lets through what belongs to a connection that it knows.
 * @param before null: it is not known what was let through. @param range of all guests, in both families: CIDRs. @param subnets CIDRs of all that are known.
 */
export function revokedConnections(
  table: string,
  before: Blocks | null,
  after: Blocks,
  range: Range,
  subnets: readonly string[] = [],
): Deletions {
  const all = [of(4, ['-s', range[0], '-d', range[0]]), of(6, ['-s', range[1], '-d', range[1]])];
  if (before === null) return all;
  const elements = (set: string) => goneOf(`inet ${table} set ${set}`, before, after);
  const flows = ([4, 6] as const).flatMap((family) =>
    ['flows', 'endpoints', 'any'].flatMap((set) =>
      elements(`${set}${family}`).map((element) => goneFlow(family, element)),
    ),
  );
  const guests = ([4, 6] as const).flatMap((family) =>
    elements(`guests${family}`).map((element) => ({ family, address: element.split(' . ')[1] ?? '' })),
  );
  const single = unique([
    ...flows.flatMap(deletionsOf),
    ...guests.flatMap(({ family, address }) => ['-s', '-d'].map((side) => of(family, [side, address]))),
  ]);
  if (single.length <= MOST) return single;
  const subnetOf = (end: string) => subnets.find((subnet) => overlap(subnet, asPrefix(end))) ?? end;
  const wide = unique([
    ...flows.flatMap(({ family, from, to }) =>
      deletionsOf({ family, from: subnetOf(from), to: subnetOf(to) }),
    ),
    ...guests.flatMap(({ family, address }) =>
      deletionsOf({ family, from: subnetOf(address), to: range[family === 4 ? 0 : 1] }),
    ),
  ]);
  return wide.length > MOST ? all : wide;
}

/** Of guests' connections to what they reach no more, wherever it is: hosts that are new, and what has come to be beside this one. */
export function newlyClosed(table: string, before: Blocks, after: Blocks, range: Range): Deletions {
  return ([4, 6] as const).flatMap((family) =>
    ['never', 'guarded']
      .flatMap((set) => goneOf(`inet ${table} set ${set}${family}`, after, before))
      .map((prefix) => of(family, ['-s', range[family === 4 ? 0 : 1], '-d', prefix])),
  );
}

/** CIDRs of all subnets that a part speaks of. */
export const subnetsOf = ({ networks, router }: RouterPart): readonly string[] => [
  ...new Set(
    [...networks, ...(router?.subnets ?? [])].flatMap(({ cidr, cidr6 }) => [cidr, ...(cidr6 ? [cidr6] : [])]),
  ),
];

const goneOf = (key: string, before: Blocks, after: Blocks): readonly string[] => {
  const stays = new Set(after.get(key)?.items);
  return (before.get(key)?.items ?? []).filter((each) => !stays.has(each));
};

const of = (family: Family, args: readonly string[]) => ['-f', `ipv${family}`, ...args];

function goneFlow(family: Family, element: string): Gone {
  const flow = readFlowElement(element);
  if (flow) return { family, from: flow.from, to: flow.to, service: [flow.protocol, String(flow.port)] };
  const [from = '', to = ''] = element.split(' . ');
  return { family, from, to };
}

/** Where the kernel has seen an answer first, who answers has begun the connection for it. */
const deletionsOf = ({ family, from, to, service }: Gone): Deletions => {
  const at = (port: string) => (service ? ['-p', service[0], port, service[1]] : []);
  return [
    of(family, ['-s', from, '-d', to, ...at('--dport')]),
    of(family, ['-s', to, '-d', from, ...at('--sport')]),
  ];
};

const unique = (deletions: Deletions): Deletions => [
  ...new Map(deletions.map((each) => [each.join(' '), each])).values(),
];
