import { type ErrorCode, WeftError } from '../../agent/kit/errors.ts';

const OF_A_FILE: readonly ErrorCode[] = ['invalid-image', 'invalid-package', 'digest-mismatch', 'too-large'];

/** Puts the file before the message of an error that is about a file. */
export async function about<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const { code, message, remedy, details } = WeftError.from(thrown);
    if (!OF_A_FILE.includes(code)) throw thrown;
    throw new WeftError(code, `${file}: ${message}`, {
      ...(remedy === undefined ? {} : { remedy }),
      details: { ...details, file },
      cause: thrown,
    });
  }
}
