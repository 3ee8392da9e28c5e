/**
 * Every error a person may see. `code` is a stable dotted-free identifier, `remedy` says what to do next.
 * One table (`ERROR_CODES`) maps each code to an HTTP status and a process exit code.
 */
export const ERROR_CODES = {
  'bad-request': { http: 400, exit: 2 },
  'invalid-model': { http: 422, exit: 1 },
  'invalid-image': { http: 422, exit: 1 },
  'invalid-package': { http: 422, exit: 1 },
  'invalid-certificate': { http: 422, exit: 1 },
  unauthorized: { http: 401, exit: 1 },
  forbidden: { http: 403, exit: 1 },
  'not-found': { http: 404, exit: 1 },
  conflict: { http: 409, exit: 1 },
  'no-capacity': { http: 409, exit: 1 },
  'not-supported': { http: 409, exit: 1 },
  'host-unreachable': { http: 503, exit: 1 },
  'hypervisor-failed': { http: 502, exit: 1 },
  'guest-unreachable': { http: 502, exit: 1 },
  'guest-crash-loop': { http: 502, exit: 1 },
  'task-failed': { http: 502, exit: 1 },
  'command-failed': { http: 500, exit: 1 },
  'digest-mismatch': { http: 422, exit: 1 },
  'too-large': { http: 413, exit: 1 },
  usage: { http: 400, exit: 2 },
  timeout: { http: 504, exit: 3 },
  'set-up': { http: 500, exit: 1 },
  internal: { http: 500, exit: 1 },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface WeftErrorOptions {
  /** What the reader can do about it, one sentence. */
  readonly remedy?: string;
  readonly cause?: unknown;
  /** Structured facts for machines: paths, line numbers, limits. Must be JSON. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** What went over the wire or to the terminal. */
export interface ErrorDocument {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

export class WeftError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: WeftErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'WeftError';
    this.code = code;
    this.remedy = options.remedy;
    this.details = options.details;
  }

  toDocument(): ErrorDocument {
    return {
      code: this.code,
      message: this.message,
      ...(this.remedy === undefined ? {} : { remedy: this.remedy }),
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }

  static fromDocument(document: ErrorDocument): WeftError {
    const code = document.code in ERROR_CODES ? document.code : 'internal';
    return new WeftError(code, document.message, {
      ...(document.remedy === undefined ? {} : { remedy: document.remedy }),
      ...(document.details === undefined ? {} : { details: document.details }),
    });
  }

  /** Wraps anything thrown: a WeftError passes through, everything else becomes `internal`. */
  static from(thrown: unknown): WeftError {
    if (thrown instanceof WeftError) return thrown;
    return new WeftError('internal', thrown instanceof Error ? thrown.message : String(thrown), {
      cause: thrown,
    });
  }
}
