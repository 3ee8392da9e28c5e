/** What WireGuard says of a device, without its private key. */
export interface TunnelConfiguration {
  /** Null: it has no key. */
  readonly publicKey: string | null;
  readonly port: number;
  /** Its packets bear a mark, which may lead them elsewhere. */
  readonly isMarked: boolean;
  readonly peers: readonly {
    readonly publicKey: string;
    /** It has a second key, which both would have to know. */
    readonly isShared: boolean;
    /** Null: none is known. */
    readonly endpoint: string | null;
    readonly allowed: readonly string[];
    /** Of the last handshake, Unix seconds; 0: there was none. */
    readonly heardS: number;
  }[];
}

/** @param text of `wg show DEVICE dump` (wg(8)): a line for the device and one for each peer, in columns between tabs. */
export function parseTunnelDump(text: string): TunnelConfiguration {
  const [[, publicKey = '', port = '', mark = ''] = [], ...peers] = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'));
  return {
    publicKey: known(publicKey),
    port: Number(port),
    isMarked: mark !== 'off',
    peers: peers.map(([key = '', shared = '', endpoint = '', allowed = '', heard = '0']) => ({
      publicKey: key,
      isShared: known(shared) !== null,
      endpoint: known(endpoint),
      allowed: known(allowed)?.split(',') ?? [],
      heardS: Number(heard),
    })),
  };
}

const known = (column: string) => (column === '(none)' || column === '' ? null : column);
