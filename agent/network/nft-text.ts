/** A named set; `unique` elements only, for the kernel takes none twice. Elements are made of what the goal's schema has checked. */
export function composeSet(
  name: string,
  type: string,
  elements: readonly string[],
  flags: readonly string[] = [],
): string {
  const unique = [...new Set(elements)].sort();
  return block(`set ${name}`, [
    `type ${type}`,
    ...flags,
    ...(unique.length === 0 ? [] : [`elements = { ${unique.join(', ')} }`]),
  ]);
}

/** @param hook `type … hook … priority …; policy accept;` of a base chain; null: a chain that others jump to. */
export const composeChain = (name: string, hook: string | null, rules: readonly string[]): string =>
  block(`chain ${name}`, [...(hook === null ? [] : [hook]), ...rules]);

export const composeTableText = (family: string, name: string, blocks: readonly string[]): string =>
  `table ${family} ${name} {\n${blocks.join('\n')}\n}\n`;

/** Succeeds too when the table is not there. */
export const composeTableRemoval = (family: string, name: string): string =>
  `table ${family} ${name} {}\ndelete table ${family} ${name}\n`;

const block = (head: string, lines: readonly string[]): string =>
  [`  ${head} {`, ...lines.map((line) => `    ${line}`), '  }'].join('\n');

/** An anonymous map of verdicts; nothing where it has no entries, for the kernel takes no empty one. */
export const verdicts = (key: string, entries: readonly (readonly [string, string])[]): readonly string[] =>
  entries.length === 0
    ? []
    : [`${key} vmap { ${entries.map(([value, chain]) => `${value} : goto ${chain}`).join(', ')} }`];
