import { ErrorCode, ErrorDomain } from './error-codes.ts';

/** What a worker thread copied out of `virGetLastError`. */
export interface NativeError {
  readonly code: number;
  readonly domain: number;
  readonly level: number;
  readonly message: string;
}

const nameOf = (table: Readonly<Record<string, number>>, prefix: string, value: number): string => {
  const entry = Object.entries(table).find(([, figure]) => figure === value);
  return entry === undefined ? `${prefix}${value}` : `${prefix}${entry[0]}`;
};

/** A call that libvirt refused or could not finish. */
export class LibvirtError extends Error {
  override readonly name = 'LibvirtError';
  /** `virErrorNumber`; see ErrorCode. */
  readonly code: number;
  /** For example `VIR_ERR_NO_DOMAIN`. */
  readonly codeName: string;
  /** `virErrorDomain`, the part of libvirt that reports; see ErrorDomain. */
  readonly domain: number;
  /** For example `VIR_FROM_QEMU`. */
  readonly domainName: string;
  /** 0 none, 1 warning, 2 error. */
  readonly level: number;
  /** The call of the binding that failed, for example `domainCreate`. */
  readonly operation: string;

  constructor(error: NativeError, operation: string) {
    super(error.message);
    this.code = error.code;
    this.codeName = nameOf(ErrorCode, 'VIR_ERR_', error.code);
    this.domain = error.domain;
    this.domainName = nameOf(ErrorDomain, 'VIR_FROM_', error.domain);
    this.level = error.level;
    this.operation = operation;
  }
}

/** A call that did not answer within its `timeoutMs`. It may still take effect. */
export class CallTimeoutError extends Error {
  override readonly name = 'CallTimeoutError';
  readonly code = 'ETIMEDOUT';
  readonly operation: string;
  readonly timeoutMs: number;

  constructor(operation: string, timeoutMs: number) {
    super(`libvirt did not answer ${operation} within ${timeoutMs} ms`);
    this.operation = operation;
    this.timeoutMs = timeoutMs;
  }
}

/** The compiled part is missing or does not load. */
export class AddonNotBuiltError extends Error {
  override readonly name = 'AddonNotBuiltError';
  readonly code = 'ADDON_NOT_BUILT';
  readonly remedy = 'npm run setup';

  constructor(path: string, cause: unknown) {
    super(
      `The libvirt binding is not built (${path}): run "npm run setup", or "npm run build" in its package.`,
      {
        cause,
      },
    );
  }
}

/** True for a LibvirtError with one of the codes: `isLibvirtError(error, ErrorCode.NO_DOMAIN)`. Without codes: any. */
export function isLibvirtError(error: unknown, ...codes: readonly number[]): error is LibvirtError {
  return error instanceof LibvirtError && (codes.length === 0 || codes.includes(error.code));
}
