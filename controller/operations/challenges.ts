import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import {
  CHALLENGE_PORT,
  CHALLENGE_TOKEN_PATTERN,
  isAuthorizationOf,
  MAXIMUM_CHALLENGES,
} from '../../agent/protocol/index.ts';
import type { ApplicationRecord, ChallengeRecord } from '../model/records.ts';
import { challengeEndpoints } from '../reconciler/edge-challenges.ts';
import { change, read } from '../store/change.ts';
import type { Store } from '../store/contract.ts';

/** Longer than any ACME server asks for. */
const KEPT_MS = 3_600_000;

/** Answers to ACME's HTTP-01, at port 80 of what applications publish. */
export class ChallengeOperations {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor({ store, clock }: { readonly store: Store; readonly clock: Clock }) {
    this.#store = store;
    this.#clock = clock;
  }

  /** @throws WeftError `bad-request` for what is no challenge; `conflict` where none could be answered. */
  async put(token: string, authorization: string): Promise<void> {
    if (!CHALLENGE_TOKEN_PATTERN.test(token) || !isAuthorizationOf(token, authorization))
      throw new WeftError(
        'bad-request',
        'this is no challenge: a token, and TOKEN.THUMBPRINT of the account’s key',
        {
          remedy:
            'Give both as the ACME client’s hook was given them. Where a token begins with a dash, put -- before it.',
        },
      );
    return change(this.#store, async () => {
      const { value, check } = await read<ChallengeRecord>(this.#store, keyOf(token));
      const [challenges, applications] = [
        await this.#store.list('challenges/'),
        await this.#store.list('apps/'),
      ];
      if (!value && challenges.entries.length >= MAXIMUM_CHALLENGES)
        throw new WeftError('conflict', `there are ${MAXIMUM_CHALLENGES} challenges already`, {
          remedy: 'Remove those that are over: weft certificate challenge ls',
        });
      if (
        challengeEndpoints(applications.entries.map((entry) => entry.value as ApplicationRecord)).length === 0
      )
        throw new WeftError(
          'conflict',
          `nobody would be answered: no application has an endpoint of protocol http, without a certificate, at port ${CHALLENGE_PORT}`,
          {
            remedy: `Give the application one: {type: input, protocol: http, port: ${CHALLENGE_PORT}}, or use DNS-01.`,
          },
        );
      const next: ChallengeRecord = { token, authorization, untilMs: this.#clock.now() + KEPT_MS };
      return { answer: undefined, transaction: { checks: [check], puts: [{ key: check.key, value: next }] } };
    });
  }

  /** @returns false: there was none, and so none is left. */
  async remove(token: string): Promise<boolean> {
    if (!CHALLENGE_TOKEN_PATTERN.test(token)) return false;
    const { value } = await read<ChallengeRecord>(this.#store, keyOf(token));
    if (value) await this.#store.transact({ deletes: [keyOf(token)] });
    return Boolean(value);
  }
}

const keyOf = (token: string) => `challenges/${token}`;
