/** Ports of edge hosts that no application may have, each first and last. */
export type PortRanges = readonly (readonly [number, number])[];

/** SSH, names, machines that move from agent to agent, libvirt. */
const DEFAULT: PortRanges = [
  [22, 22],
  [53, 53],
  [7702, 7709],
  [16509, 16509],
  [16514, 16514],
];

/** @param own the controller's, which may be on an edge host. */
export const defaultReservedPorts = (own: readonly number[]): PortRanges => [
  ...DEFAULT,
  ...own.map((port) => [port, port] as const),
];

/** @param text `22,7700-7709`, or `none`. @returns null: it is no list of ports. */
export function parsePortRanges(text: string): PortRanges | null {
  if (text === 'none') return [];
  const ranges = text.split(',').map((each) => {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(each.trim()) ?? [];
    return [Number(first), Number(last)] as const;
  });
  return ranges.every(([first, last]) => first >= 1 && first <= last && last <= 65_535) ? ranges : null;
}

export const portRangesText = (ranges: PortRanges): string =>
  ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
