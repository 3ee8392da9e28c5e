const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?$/;
const LONGEST = 253;

/** Whether a certificate may be for this name: in lower case, at least two labels, the first may be `*`. No such name begins like an option. */
export function isDnsName(text: string): boolean {
  const labels = text.split('.');
  const [first, ...others] = labels;
  return (
    text.length <= LONGEST &&
    labels.length >= 2 &&
    (first === '*' ? others.length >= 2 : LABEL.test(first ?? '')) &&
    others.every((label) => LABEL.test(label))
  );
}

/** Those of the wanted names that a certificate with these names is not for. A `*` stands for one label. */
export const uncovered = (wanted: readonly string[], names: readonly string[]): readonly string[] =>
  wanted.filter((name) => !names.includes(name) && !names.includes(name.replace(/^[^.]+/, '*')));
