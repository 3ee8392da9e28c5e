/** Last, optional argument of every call. */
export interface CallOptions {
  /**
   * Rejects the call with the signal's reason. A call that waits for a worker is withdrawn; one that libvirt is already
   * working on may still take effect, so look before repeating it.
   */
  readonly signal?: AbortSignal | undefined;
  /** Rejects the call with a CallTimeoutError after this long; otherwise as `signal`. None: no limit. */
  readonly timeoutMs?: number | undefined;
}
