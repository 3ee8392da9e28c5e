/** A table, or one part of it. */
export interface Block {
  /** Of the table: `inet weft_f1ee`. */
  readonly table: string;
  /** `table`, `set`, `chain`, or whatever else nftables has. */
  readonly kind: string;
  /** Empty for the table itself. */
  readonly name: string;
  /** What it is: type and flags of a set, the hook of a chain. */
  readonly head: readonly string[];
  /** Elements of a set, in no order; rules of a chain, in theirs. */
  readonly items: readonly string[];
}

/** By table, kind and name. */
export type Blocks = ReadonlyMap<string, Block>;

const TABLE = /^table (\S+ \S+) \{$/;
const OPENING = /^(\w+) ([\w./-]+) \{$/;
const ELEMENTS = /^elements = \{(.*)\}$/;

/**
 * Reads tables, as they are composed here or as `nft --stateless list table` prints them. Commands beside them are passed over.
 * How nft writes a rule or an element is its own matter: texts of both sources do not compare, their numbers do.
 */
export function readBlocks(text: string): Blocks {
  const blocks = new Map<string, Block>();
  const put = (block: Block) => blocks.set(`${block.table} ${block.kind} ${block.name}`, block);
  let table: string | null = null;
  let open: { kind: string; name: string; head: string[]; items: string[] } | null = null;
  for (const statement of statementsOf(text)) {
    if (table === null) {
      table = TABLE.exec(statement)?.[1] ?? null;
      if (table !== null) put({ table, kind: 'table', name: '', head: [], items: [] });
    } else if (open !== null) {
      if (statement !== '}') note(open, statement);
      else {
        put({ table, ...open });
        open = null;
      }
    } else if (statement === '}') table = null;
    else {
      const [, kind, name] = OPENING.exec(statement) ?? [];
      if (kind !== undefined && name !== undefined) open = { kind, name, head: [], items: [] };
    }
  }
  return blocks;
}

/** Equal for blocks that are the same. */
export const printBlock = ({ kind, head, items }: Block): string =>
  [...head, '', ...(kind === 'set' ? [...items].sort() : items)].join('\n');

function note(block: { kind: string; head: string[]; items: string[] }, statement: string): void {
  const elements = ELEMENTS.exec(statement)?.[1];
  if (elements !== undefined) block.items.push(...elements.split(',').map((each) => each.trim()));
  else if (block.kind === 'chain' && !statement.startsWith('type ')) block.items.push(statement);
  else block.head.push(statement);
}

/** What is in braces may go over many lines, and is one statement; the opening and the end of a block are one each. */
function* statementsOf(text: string): Generator<string> {
  let pieces: string[] = [];
  let depth = 0;
  for (const line of text.split('\n')) {
    const piece = line.trim();
    if (piece === '') continue;
    if (pieces.length === 0 && (piece === '}' || TABLE.test(piece) || OPENING.test(piece))) {
      yield piece;
      continue;
    }
    pieces.push(piece);
    depth += piece.split('{').length - piece.split('}').length;
    if (depth > 0) continue;
    yield pieces.join(' ');
    pieces = [];
    depth = 0;
  }
}
