import { isWithin } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import { composeChain } from './nft-text.ts';
import { tryRules } from './nft-try.ts';

const OF_A_SOCKET = 'socket wildcard 0';

/**
 * What guests send over connections that this host has begun, where the kernel does not know these any more: it forgets them with others that are
 * revoked, and takes what the guest sends first for the beginning of a connection of the guest's own.
 * @param to this host's addresses there, as rules match them. Servers that listen at all addresses are no sockets of these.
 */
export const ownConnections = (...to: readonly string[]): readonly string[] =>
  to.map((each) => `${each} tcp flags & syn == 0 ${OF_A_SOCKET} accept`);

/** As a kernel takes them that cannot look for sockets. */
export const withoutSockets = (ruleset: string): string =>
  ruleset
    .split('\n')
    .filter((line) => !line.includes(OF_A_SOCKET))
    .join('\n');

/** Between two tries of what was refused: a module may come later. */
const AGAIN_MS = 60_000;

/** Whether this kernel's rules can look for sockets (nft_socket, from Linux 5.11 on), found by trying. Once they can, they go on to. */
export class SocketAbility {
  readonly #check: () => Promise<void>;
  #isThere = false;
  #refusedMs = Number.NEGATIVE_INFINITY;

  /** @param check absent: by nft. Throws `command-failed` where they cannot; anything else says nothing of it. */
  constructor(check: () => Promise<void> = tryIt) {
    this.#check = check;
  }

  async look(nowMs: number): Promise<boolean> {
    if (this.#isThere || isWithin(AGAIN_MS, this.#refusedMs, nowMs)) return this.#isThere;
    try {
      await this.#check();
      this.#isThere = true;
    } catch (error) {
      if (WeftError.from(error).code === 'command-failed') this.#refusedMs = nowMs;
    }
    return this.#isThere;
  }
}

const tryIt = (): Promise<void> =>
  tryRules([
    composeChain('try', 'type filter hook input priority filter; policy accept;', [`${OF_A_SOCKET} accept`]),
  ]);
