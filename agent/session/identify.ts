import { readFile } from 'node:fs/promises';
import { WeftError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { Identity, IdentityFolder } from './identity.ts';
import { hashOfToken, join } from './join.ts';

/**
 * The identity that this host has, or one got by a token. A token that is new to the host makes it join again: the fleet may have
 * forgotten it. When that does not work, the identity that is there is kept.
 * @throws WeftError `set-up` without identity and token; what `join` throws when there is no identity to fall back on.
 */
export async function identify(
  identities: IdentityFolder,
  hostName: string,
  joinFile: string | null,
  log: Logger,
): Promise<Identity> {
  const known = await identities.read();
  const token = joinFile === null ? null : await readToken(joinFile, known !== null);
  if (token === null) {
    if (known) return known;
    throw new WeftError('set-up', 'this host has not joined a fleet', {
      remedy: 'Make a token with "weft host token", put it in a file, and start with --join-file FILE.',
    });
  }
  if (known && known.joinedWith === hashOfToken(token)) return known;
  try {
    const joined = await join(token, hostName);
    // Goals of an older epoch stay refused by a host that joins its own fleet again.
    const epoch = known?.fleet === joined.fleet ? known.epoch : joined.epoch;
    const identity = { ...joined, epoch };
    await identities.write(identity);
    return identity;
  } catch (error) {
    if (!known) throw error;
    log.warn({ err: error }, 'could not join with the token that was given; going on as before');
    return known;
  }
}

/** Once a host has joined, its token's file may be gone. */
async function readToken(file: string, optional: boolean): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (optional) return null;
    throw new WeftError('set-up', `the join token cannot be read: ${(error as Error).message}`, {
      remedy: 'Make a token with "weft host token" and put it there.',
      cause: error,
    });
  }
}
