import { WeftError } from '../../agent/kit/errors.ts';
import { DIGEST_PATTERN, NAME_PATTERN, VERSION_PATTERN } from '../../agent/kit/names.ts';
import type { ImportRequest } from './contract.ts';

const SSH_USER = /^[a-z_][a-z0-9_-]{0,31}$/;

/**
 * What can be said of a request without its blobs.
 * @throws WeftError `bad-request`.
 */
export function checkImportRequest(request: ImportRequest): void {
  checkNames(request.name, request.version, request.channel);
  for (const digest of [request.disk, request.kernel, request.initrd])
    if (digest !== undefined && !DIGEST_PATTERN.test(digest))
      throw bad(
        `${JSON.stringify(digest.slice(0, 100))} is no digest`,
        'Upload the file first, then give its digest.',
      );
  if (request.kernel === undefined && (request.initrd !== undefined || request.commandLine !== undefined))
    throw bad('an initrd and a kernel command line need a kernel', 'Add --kernel.');
  if (request.kernel !== undefined && request.firmware !== undefined)
    throw bad('an image boots by its kernel or by firmware, not both', 'Leave out --kernel or --firmware.');
  if ((request.commandLine?.length ?? 0) > 2048 || /[\0\r\n]/.test(request.commandLine ?? ''))
    throw bad('the kernel command line is longer than 2048 characters or has line breaks', 'Shorten it.');
  if (request.seed === 'none' && request.sshPrivateKey === undefined)
    throw bad(
      'an image without a seed must already accept a key',
      'Add --ssh-key with the private key, or use --seed nocloud.',
    );
  if (request.seed === 'nocloud' && request.sshPrivateKey !== undefined)
    throw bad('a seeded image gets keys of its own', 'Leave out --ssh-key, or use --seed none.');
  if (request.sshUser !== undefined && !SSH_USER.test(request.sshUser))
    throw bad(
      `${JSON.stringify(request.sshUser.slice(0, 50))} is no user name`,
      'Use one such as root or debian.',
    );
}

/** @throws WeftError `bad-request`. */
export function checkNames(name: string, version: string | undefined, channel: string | undefined): void {
  if (!NAME_PATTERN.test(name))
    throw bad(
      `${JSON.stringify(name.slice(0, 100))} is no name for an image`,
      'Use lower-case letters, digits and dashes, starting with a letter, at most 40.',
    );
  for (const text of [version, channel])
    if (text !== undefined && !VERSION_PATTERN.test(text))
      throw bad(
        `${JSON.stringify(text.slice(0, 100))} is no version or channel`,
        'Use letters, digits, dot, dash, underscore and plus, at most 64.',
      );
}

function bad(message: string, remedy: string): WeftError {
  return new WeftError('bad-request', message, { remedy });
}
