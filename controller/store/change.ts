import { setTimeout as pause } from 'node:timers/promises';
import { WeftError } from '../../agent/kit/errors.ts';
import type { Check, Store, Transaction } from './contract.ts';

/** The reconciler writes in short bursts; an attempt that loses so often has met something else. */
const ATTEMPTS = 40;
const PAUSE_MS = 5;

/** A record as one attempt read it; `check` makes the transaction fail when it has changed since. */
export interface Read<T> {
  readonly value: T | null;
  readonly check: Check;
}

export async function read<T>(store: Store, key: string): Promise<Read<T>> {
  const entry = await store.get(key);
  // Whoever writes under a key writes that key's record: the store's contract, which types cannot tell.
  return { value: (entry?.value ?? null) as T | null, check: { key, revision: entry?.revision ?? 0 } };
}

/** What one attempt wants written, and what to answer once it is. Without a transaction nothing is written. */
export interface Attempt<T> {
  readonly answer: T;
  readonly transaction?: Transaction;
}

/** Reads, decides and writes; begins again when something else wrote in between. @throws WeftError `conflict` when that never ends. */
export async function change<T>(store: Store, attempt: () => Promise<Attempt<T>>): Promise<T> {
  for (let tried = 0; tried < ATTEMPTS; tried++) {
    const { answer, transaction } = await attempt();
    if (!transaction || (await store.transact(transaction)).committed) return answer;
    await pause(tried * PAUSE_MS);
  }
  throw new WeftError('conflict', 'the records kept changing while this was tried', { remedy: 'Try again.' });
}
