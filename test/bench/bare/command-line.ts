/** What differs between one bare guest and the domain that its command line is taken from. */
export interface BareGuestFiles {
  readonly name: string;
  readonly overlay: string;
  readonly seed: string;
  readonly mac: string;
  /** A tap that stands already. */
  readonly tap: string;
  /** Folder for console log and agent socket. */
  readonly folder: string;
}

/** Options of libvirt's own: its monitor, its secret, the descriptors it hands over, the start of the processor by hand. */
const LIBVIRTS = new Set([
  '-add-fd',
  '-mon',
  '-object secret',
  '-chardev charmonitor',
  '-chardev charserial0',
  '-netdev',
]);

type Argument = readonly [option: string, value: string | null];

/**
 * The command line of a running domain of ours, as one for a bare QEMU: the same machine, processor, devices and caches, without
 * libvirt. A benchmark's baseline made this way cannot drift from what it is compared with.
 * @param original argv of the domain's QEMU. @param root where the host's file system is on this machine.
 * @throws Error when the command line has no overlay, seed or network card.
 */
export function bareCommandLine(original: readonly string[], files: BareGuestFiles, root: string): string[] {
  let replaced = { overlay: false, seed: false, mac: false };
  const kept = pairsOf(original.slice(1)).flatMap(([option, value]): string[] => {
    if (option === '-S' || LIBVIRTS.has(option) || LIBVIRTS.has(kindOf(option, value))) return [];
    if (value === null) return [option];
    if (option === '-name') return [option, `guest=${files.name}`];
    if (option === '-chardev' && value.includes('charchannel0'))
      return [option, `socket,id=charchannel0,path=${files.folder}/agent.sock,server=on,wait=off`];
    if (option === '-kernel' || option === '-initrd') return [option, root + value];
    if (option === '-blockdev') {
      const block = JSON.parse(value) as { filename?: string };
      const { filename } = block;
      if (filename === undefined) return [option, value];
      const overlay = filename.includes('/pools/');
      const seed = filename.endsWith('.iso');
      replaced = { ...replaced, overlay: replaced.overlay || overlay, seed: replaced.seed || seed };
      const file = overlay ? files.overlay : seed ? files.seed : root + filename;
      return [option, JSON.stringify({ ...block, filename: file })];
    }
    if (option === '-device' && value.includes('"mac"')) {
      replaced = { ...replaced, mac: true };
      return [option, JSON.stringify({ ...JSON.parse(value), mac: files.mac })];
    }
    return [option, value];
  });
  const missing = Object.entries(replaced).filter(([, found]) => !found);
  if (missing.length > 0)
    throw new Error(`no ${missing.map(([what]) => what).join(', ')} in: ${original.join(' ')}`);
  // Chardevs and the netdev come before the devices that name them.
  return [
    ...['-netdev', `tap,id=hostnet0,ifname=${files.tap},script=no,downscript=no`],
    ...['-chardev', `file,id=charserial0,path=${files.folder}/console.log`],
    ...kept,
  ];
}

function pairsOf(argv: readonly string[]): Argument[] {
  const pairs: Argument[] = [];
  for (let index = 0; index < argv.length; index++) {
    const option = argv[index] ?? '';
    const next = argv[index + 1];
    if (next === undefined || next.startsWith('-')) pairs.push([option, null]);
    else {
      pairs.push([option, next]);
      index++;
    }
  }
  return pairs;
}

/** `-chardev charmonitor`, `-object secret`: an option with the id or type of its value. */
function kindOf(option: string, value: string | null): string {
  if (option === '-object' && value?.includes('"qom-type":"secret"')) return '-object secret';
  return `${option} ${/(?:^|,)id=([^,]+)/.exec(value ?? '')?.[1] ?? ''}`;
}
