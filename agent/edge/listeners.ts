import { isIPv6 } from 'node:net';
import { exec } from '../kit/exec.ts';
import type { PublishedEndpoint } from '../protocol/index.ts';

const LIMIT_MS = 10_000;

export interface Listener {
  /** Without brackets; `*`: every address. */
  readonly address: string;
  readonly port: number;
  readonly program: string;
  readonly pids: readonly number[];
}

/** Who listens for TCP on this host, by `ss`. */
async function listListeners(): Promise<readonly Listener[]> {
  const { stdout } = await exec('ss', ['-H', '-l', '-t', '-n', '-p'], { timeoutMs: LIMIT_MS });
  return parseListeners(stdout);
}

/**
 * Who listens, and which processes are the load balancer's own. These are listed before and after: one that ends meanwhile is no other
 * program, nor is one that has just come.
 */
export async function lookAtListeners(
  ownProcesses: () => readonly number[],
  list = listListeners,
): Promise<{ readonly listeners: readonly Listener[]; readonly own: ReadonlySet<number> }> {
  const before = ownProcesses();
  const listeners = await list();
  return { listeners, own: new Set([...before, ...ownProcesses()]) };
}

export function parseListeners(text: string): readonly Listener[] {
  return text.split('\n').flatMap((line): Listener[] => {
    const [, , , local, , users = ''] = line.trim().split(/\s+/);
    const [, address, port] = /^(.*):(\d+)$/.exec(local ?? '') ?? [];
    if (address === undefined) return [];
    return [
      {
        address: address.replaceAll(/[[\]]|%.*$/g, ''),
        port: Number(port),
        program: /"([^"]*)"/.exec(users)?.[1] ?? 'another program',
        pids: [...users.matchAll(/pid=(\d+)/g)].map(([, pid]) => Number(pid)),
      },
    ];
  });
}

/** Why an endpoint cannot listen where it is to; null: it can. @param isOurs whether a listener is the load balancer's own. */
export function takenBy(
  { addresses, port }: PublishedEndpoint,
  listeners: readonly Listener[],
  isOurs: (listener: Listener) => boolean,
): string | null {
  for (const listener of listeners) {
    if (listener.port !== port || isOurs(listener)) continue;
    const address = addresses.find((each) => isSame(listener.address, each));
    if (address !== undefined)
      return `port ${port} of ${address} is taken on this host by ${listener.program}`;
  }
  return null;
}

const isSame = (listens: string, address: string): boolean =>
  listens === address || listens === '*' || (isIPv6(address) ? listens === '::' : listens === '0.0.0.0');
