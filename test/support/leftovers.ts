import type { Lab } from '../lab/lab.ts';

/** What of ours is on a host right now, seen with other programs than Weft's own. Empty lists: nothing. */
export interface Leftovers {
  readonly domains: readonly string[];
  readonly networks: readonly string[];
  readonly disks: readonly string[];
  readonly taps: readonly string[];
  readonly bridges: readonly string[];
  readonly runFolders: readonly string[];
  readonly qemus: readonly string[];
}

const lines = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

export async function leftoversOn(lab: Lab, host: string): Promise<Leftovers> {
  const ask = async (...command: string[]) =>
    lines((await lab.exec(host, command, { okExitCodes: [0, 1], timeoutMs: 30_000 })).stdout);
  const virsh = (...args: string[]) => ask('virsh', '--connect', 'qemu:///system', ...args);
  const links = await ask('ip', '-o', 'link', 'show');
  const names = links.map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? '');
  return {
    domains: await virsh('list', '--all', '--name'),
    networks: await virsh('net-list', '--all', '--name'),
    disks: await ask('find', '/var/lib/weft/pools', '-type', 'f', '-name', '*.qcow2'),
    taps: names.filter((name) => /^(vnet|tap)/.test(name)),
    bridges: names.filter((name) => /^(wb|virbr)/.test(name)),
    runFolders: await ask(
      'find',
      '/var/lib/weft/agent/run',
      '-mindepth',
      '2',
      '-maxdepth',
      '2',
      '-type',
      'd',
    ),
    qemus: await ask('pgrep', '-a', 'qemu-system'),
  };
}

export const NOTHING_LEFT: Leftovers = {
  domains: [],
  networks: [],
  disks: [],
  taps: [],
  bridges: [],
  runFolders: [],
  qemus: [],
};
