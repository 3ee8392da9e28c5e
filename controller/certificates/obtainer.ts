import { type BackOff, backOffMs } from '../../agent/kit/back-off.ts';
import type { Clock, Timer } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import type { Logger } from '../../agent/kit/log.ts';
import { Passes } from '../../agent/kit/passes.ts';
import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { ApplicationRecord, CertificateRecord } from '../model/records.ts';
import { change, read } from '../store/change.ts';
import type { Store } from '../store/contract.ts';
import { type Due, NOTHING, planObtaining, whyWanted } from './due.ts';
import { HOOK_NAME, type Hook, reasonOf } from './hook.ts';
import { usesOf } from './uses.ts';

/** Certification authorities count failures by the hour. */
const AGAIN: BackOff = { firstMs: 2 * 60_000, maximumMs: 12 * 3_600_000, factor: 2 };
/** Times far away are looked at again on the way. */
const LOOK_AT_LEAST_EVERY_MS = 3_600_000;
/** After a look that failed itself. */
const RETRY_MS = 30_000;

export interface ObtainerOptions {
  readonly store: Store;
  readonly hook: Hook;
  readonly certificates: { put(name: string, text: string, by: string): Promise<unknown> };
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Has the hook obtain what endpoints want and is not there, or has not long to live: one after another. What was tried, and failed, is on the
 * certificate's record; a controller that is started anew goes by that.
 */
export class Obtainer {
  readonly #options: ObtainerOptions;
  readonly #ending = new AbortController();
  readonly #passes = new Passes(
    () => this.#pass(),
    () => this.#ending.signal.aborted,
  );
  #timer: Timer | null = null;
  #stop: (() => void) | null = null;

  constructor(options: ObtainerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { store } = this.#options;
    const wake = () => this.#passes.wake();
    const revision = await store.revision();
    const stops = ['apps/', 'certificates/'].map((prefix) => store.watch(prefix, revision, wake));
    this.#stop = () => {
      for (const stop of stops) stop();
    };
    wake();
  }

  /** A hook that runs is ended. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#stop?.();
    this.#ending.abort(new Error('the controller stops'));
    await this.#passes.running;
  }

  async #pass(): Promise<void> {
    const { clock, log } = this.#options;
    this.#timer?.cancel();
    let nextMs: number | null = clock.now() + RETRY_MS;
    try {
      const { due } = await this.#plan();
      for (const each of due) if (!this.#ending.signal.aborted) await this.#obtain(each);
      await this.#forget();
      nextMs = (await this.#plan()).nextMs;
    } catch (error) {
      log.error({ err: error }, 'certificates could not be looked at');
    }
    if (this.#ending.signal.aborted) return;
    const waitMs = Math.max(0, (nextMs ?? Number.POSITIVE_INFINITY) - clock.now());
    this.#timer = clock.after(Math.min(waitMs, LOOK_AT_LEAST_EVERY_MS), () => this.#passes.wake());
  }

  async #plan() {
    const { store, clock } = this.#options;
    const [records, uses] = [await store.list('certificates/'), await this.#uses()];
    return planObtaining(
      records.entries.map(({ value }) => value as CertificateRecord),
      uses,
      clock.now(),
    );
  }

  async #uses() {
    const { entries } = await this.#options.store.list('apps/');
    return usesOf(entries.map(({ value }) => value as ApplicationRecord));
  }

  async #obtain(due: Due): Promise<void> {
    const { hook, certificates, store, log } = this.#options;
    const { name, why } = due;
    log.info({ certificate: name, names: due.names, why }, 'the hook is to obtain a certificate');
    try {
      const { value } = await read<CertificateRecord>(store, keyOf(name));
      const text = await hook.obtain(due, value?.kept?.fingerprint ?? null, this.#ending.signal);
      if (text !== null) await certificates.put(name, text, HOOK_NAME);
      await this.#confirm(due);
      log.info({ certificate: name }, 'a certificate was obtained');
    } catch (error) {
      // That the controller stops is nobody's failure.
      if (this.#ending.signal.aborted) return;
      const message = reasonOf(error);
      log.warn({ certificate: name, why: message }, 'a certificate could not be obtained');
      await this.#noteFailure(due, message);
    }
  }

  /** @throws WeftError when what is kept now is still not what is wanted. */
  async #confirm({ name, names }: Due): Promise<void> {
    const { store, clock } = this.#options;
    const { value } = await read<CertificateRecord>(store, keyOf(name));
    const why = whyWanted(value ?? NOTHING, { names }, clock.now());
    if (why !== null)
      throw new WeftError(
        'command-failed',
        `the hook ended well, but what is kept now is not as wanted: ${why}`,
      );
    await change(store, async () => {
      const { value: record, check } = await read<CertificateRecord>(store, keyOf(name));
      if (!record?.attempt) return { answer: undefined };
      const next: CertificateRecord = { ...record, attempt: null };
      return { answer: undefined, transaction: { checks: [check], puts: [{ key: check.key, value: next }] } };
    });
  }

  /** Failures of what nobody wants any more. */
  async #forget(): Promise<void> {
    const { store } = this.#options;
    const [{ entries }, uses] = [await store.list('certificates/'), await this.#uses()];
    for (const { key, value, revision } of entries) {
      const { name, kept } = value as CertificateRecord;
      if (kept === null && !uses.has(name))
        await store.transact({ checks: [{ key, revision }], deletes: [key] });
    }
  }

  #noteFailure({ name, names }: Due, message: string): Promise<void> {
    const { store, clock } = this.#options;
    return change(store, async () => {
      const { value, check } = await read<CertificateRecord>(store, keyOf(name));
      const before =
        value?.attempt && isSameDocument(value.attempt.names, names) ? value.attempt.failures : 0;
      const failedAtMs = clock.now();
      const failures = before + 1;
      const nextAtMs = failedAtMs + backOffMs(AGAIN, failures);
      const next: CertificateRecord = {
        ...{ kept: null, ...value, name },
        attempt: { failures, failedAtMs, message, nextAtMs, names },
      };
      return { answer: undefined, transaction: { checks: [check], puts: [{ key: check.key, value: next }] } };
    });
  }
}

const keyOf = (name: string) => `certificates/${name}`;
