import { connect } from 'node:net';
import { bitsOf, familyOf } from '../../agent/kit/addressing.ts';

const LIMIT_MS = 20_000;

/** What came back from a server. `error`, such as `ECONNREFUSED`, is null where the connection came about. */
export interface Heard {
  readonly text: string;
  /** The client's own port. */
  readonly port: number;
  readonly error: string | null;
}

/**
 * Connects from outside the fleet. Never rejects.
 * @param saying what is said before nothing more is, and all is heard that follows; absent: nothing is said, and the server's first words are heard.
 */
export function hear(host: string, port: number, saying?: string): Promise<Heard> {
  return new Promise((resolve) => {
    let text = '';
    let own = 0;
    const socket = connect({ host, port });
    const end = (error: string | null) => {
      socket.destroy();
      resolve({ text, port: own, error });
    };
    socket.setTimeout(LIMIT_MS, () => end('timeout'));
    socket.on('connect', () => {
      own = socket.localPort ?? 0;
      if (saying !== undefined) socket.end(saying);
    });
    socket.on('data', (data) => {
      text += data.toString('latin1');
      if (saying === undefined) end(null);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    socket.on('close', () => end(null));
  });
}

interface Ends {
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
}

/**
 * What a load balancer says before all else of a client, by the PROXY protocol version 2, as hex digits
 * (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt, 2.2).
 */
export function proxyHeader({ from, fromPort, to, toPort }: Ends): string {
  const digits = (value: bigint | number, bytes: number) => value.toString(16).padStart(2 * bytes, '0');
  const addressBytes = familyOf(to) === 4 ? 4 : 16;
  return [
    '0d0a0d0a000d0a515549540a',
    // Version 2, a client's connection; TCP over IPv4 or IPv6; so many bytes follow.
    '21',
    addressBytes === 4 ? '11' : '21',
    digits(2 * addressBytes + 4, 2),
    ...[digits(bitsOf(from), addressBytes), digits(bitsOf(to), addressBytes)],
    ...[digits(fromPort, 2), digits(toPort, 2)],
  ].join('');
}
