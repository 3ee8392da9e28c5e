/** Families of symbol versions, and the Debian package that has them. */
const FAMILIES: readonly (readonly [
  pattern: RegExp,
  name: string,
  versionOf: (highest: string) => string,
])[] = [
  [/\bGLIBC_(\d+(?:\.\d+)+)/g, 'libc6', (highest) => highest],
  [/\bGLIBCXX_(\d+(?:\.\d+)+)/g, 'libstdc++6', (highest) => GCC_OF_GLIBCXX.get(highest) ?? '12'],
  [/\bLIBVIRT_(\d+(?:\.\d+)+)/g, 'libvirt0', (highest) => highest],
];

/** Release of GCC that first had a version of libstdc++: https://gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html */
const GCC_OF_GLIBCXX: ReadonlyMap<string, string> = new Map([
  ['3.4.21', '5'],
  ['3.4.22', '6'],
  ['3.4.24', '7'],
  ['3.4.25', '8'],
  ['3.4.26', '9'],
  ['3.4.28', '9.3'],
  ['3.4.29', '11'],
  ['3.4.30', '12'],
]);

/**
 * Debian packages that ELF files need at the least, by the highest symbol version that each of them names.
 * @param binaries content of Node and of native addons.
 */
export function librariesOf(binaries: readonly Buffer[]): readonly string[] {
  const highest = new Map<string, string>();
  for (const binary of binaries) {
    const text = binary.toString('latin1');
    for (const [pattern, name] of FAMILIES)
      for (const [, version = ''] of text.matchAll(pattern))
        if (isHigher(version, highest.get(name) ?? '0')) highest.set(name, version);
  }
  return FAMILIES.flatMap(([, name, versionOf]) => {
    const version = highest.get(name);
    return version === undefined ? [] : [`${name} (>= ${versionOf(version)})`];
  });
}

function isHigher(one: string, other: string): boolean {
  const [left, right] = [one, other].map((version) => version.split('.').map(Number));
  for (let index = 0; index < Math.max(left?.length ?? 0, right?.length ?? 0); index++) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
