import { type Block, type Blocks, printBlock } from './nft-blocks.ts';

export interface RulesetChange {
  /** One file of nftables, and one transaction. Empty: there is nothing to do. */
  readonly text: string;
  /** Keys of the blocks that are other ones afterwards, or new. */
  readonly touched: ReadonlySet<string>;
}

/**
 * What makes other tables of those that are there, so that one endpoint among thousands costs one element. The kernel refuses it as a
 * whole where something that it names is not as it was written.
 * @returns null: what a table, a set or a hook is has changed, and all has to be written anew.
 */
export function composeChange(from: Blocks, to: Blocks): RulesetChange | null {
  const added = [...to].filter(([key]) => !from.has(key));
  const removed = [...from].filter(([key]) => !to.has(key));
  const kept = [...to].flatMap(([key, after]) => {
    const before = from.get(key);
    return before === undefined ? [] : [{ key, before, after }];
  });
  const changed = kept.filter(({ before, after }) => printBlock(before) !== printBlock(after));
  if (![...added, ...removed].every(([, block]) => isPlainChain(block))) return null;
  if (!changed.every(({ before, after }) => isChangeable(before, after))) return null;
  const chains = changed.filter(({ after }) => after.kind === 'chain');
  const [merged, sets] = [true, false].map((wanted) =>
    changed.filter(({ after }) => after.kind === 'set' && isMerged(after) === wanted),
  ) as [typeof changed, typeof changed];
  const lines = [
    // Rules may go to chains that are new; a chain goes when no rule goes to it any more.
    ...added.map(([, chain]) => `add chain ${placeOf(chain)}`),
    ...[...chains.map(({ after }) => after), ...removed.map(([, chain]) => chain)].map(
      (chain) => `flush chain ${placeOf(chain)}`,
    ),
    // Where elements are merged, what the kernel has is not what was written: all of them come anew.
    ...merged.flatMap(({ after }) => [
      `flush set ${placeOf(after)}`,
      elements('add', after, { ...after, items: [] }),
    ]),
    ...sets.map(({ before, after }) => elements('delete', before, after)),
    ...sets.map(({ before, after }) => elements('add', after, before)),
    ...[...added.map(([, chain]) => chain), ...chains.map(({ after }) => after)].flatMap((chain) =>
      chain.items.map((rule) => `add rule ${placeOf(chain)} ${rule}`),
    ),
    ...removed.map(([, chain]) => `delete chain ${placeOf(chain)}`),
  ].filter((line) => line !== '');
  return {
    text: lines.map((line) => `${line}\n`).join(''),
    touched: new Set([...added.map(([key]) => key), ...changed.map(({ key }) => key)]),
  };
}

const placeOf = ({ table, name }: Block) => `${table} ${name}`;

const isPlainChain = ({ kind, head }: Block) => kind === 'chain' && head.length === 0;

const isChangeable = (before: Block, after: Block) =>
  before.head.join('\n') === after.head.join('\n') && (after.kind === 'chain' || after.kind === 'set');

export const isMerged = ({ head }: Block): boolean => head.includes('auto-merge');

function elements(command: 'add' | 'delete', of: Block, without: Block): string {
  const others = new Set(without.items);
  const list = of.items.filter((each) => !others.has(each));
  return list.length === 0 ? '' : `${command} element ${placeOf(of)} { ${list.join(', ')} }`;
}
