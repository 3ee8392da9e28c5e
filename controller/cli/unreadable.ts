import { WeftError } from '../../agent/kit/errors.ts';

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  ENOTDIR: 'what is before the last / is no folder',
  EACCES: 'this user may not read it',
};

/** A file that was given, and cannot be read. @param remedy what to give instead. */
export function unreadable(file: string, thrown: unknown, remedy: string): WeftError {
  const { code, message } = thrown as NodeJS.ErrnoException;
  return new WeftError('usage', `cannot read ${file}: ${WHY[code ?? ''] ?? message}`, { remedy });
}
