import { createHash, randomBytes } from 'node:crypto';
import { WeftError } from '../../agent/kit/errors.ts';
import type { JoinTokenPayload } from '../../agent/protocol/index.ts';
import type { TokenRecord } from '../model/records.ts';
import type { Store } from '../store/contract.ts';

const hashOf = (secret: string) => createHash('sha256').update(secret).digest('hex');
const joinKey = (secret: string) => `tokens/join/${hashOf(secret)}`;
const apiKey = (secret: string) => `tokens/api/${hashOf(secret)}`;

/** Tokens of users and of hosts that want to join. Only hashes are kept; a token is looked up by its hash, so nothing is compared that timing could tell. */
export class Tokens {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** @returns the one-use token as it is printed. */
  async mintJoin(
    options: { label: string; ttlMs: number; controller: string; caFingerprint: string },
    nowMs: number,
  ): Promise<string> {
    const secret = randomBytes(24).toString('base64url');
    await this.#put(joinKey(secret), {
      createdAtMs: nowMs,
      expiresAtMs: nowMs + options.ttlMs,
      label: options.label,
    });
    const payload: JoinTokenPayload = {
      controller: options.controller,
      secret,
      caFingerprint: options.caFingerprint,
    };
    return `weft1.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`;
  }

  /** The key and revision of a join token that is still good: for the transaction that uses it up. @throws WeftError `unauthorized`. */
  async findJoin(token: string, nowMs: number): Promise<{ key: string; revision: number }> {
    const secret = secretOf(token);
    const entry = secret === null ? null : await this.#store.get(joinKey(secret));
    const record = entry?.value as TokenRecord | undefined;
    if (entry && record && (record.expiresAtMs === null || record.expiresAtMs > nowMs))
      return { key: entry.key, revision: entry.revision };
    throw new WeftError('unauthorized', 'this join token is unknown, used or expired', {
      remedy: 'Make a new one with: weft host token',
    });
  }

  async addApi(secret: string, label: string, nowMs: number): Promise<void> {
    await this.#put(apiKey(secret), { createdAtMs: nowMs, expiresAtMs: null, label });
  }

  /** @returns what a user's token is called, as it was made; null when it is none or none any more. */
  async labelOfApi(secret: string, nowMs: number): Promise<string | null> {
    const record = (await this.#store.get(apiKey(secret)))?.value as TokenRecord | undefined;
    return record !== undefined && (record.expiresAtMs === null || record.expiresAtMs > nowMs)
      ? record.label
      : null;
  }

  async #put(key: string, value: TokenRecord): Promise<void> {
    await this.#store.transact({ puts: [{ key, value }] });
  }
}

function secretOf(token: string): string | null {
  try {
    const body = /^weft1\.([A-Za-z0-9_-]{1,1024})$/.exec(token.trim())?.[1] ?? '';
    const { secret } = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
    return typeof secret === 'string' ? secret : null;
  } catch {
    return null;
  }
}
