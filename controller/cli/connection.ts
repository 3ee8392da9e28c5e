import { WeftError } from '../../agent/kit/errors.ts';
import type { ConnectionQuestion } from '../client/types.ts';

const ARROWS: ReadonlySet<string> = new Set(['→', '->', 'to']);
const TARGET = /^(?<to>.+):(?<port>[1-9][0-9]{0,4})(?:\/(?<protocol>tcp|udp))?$/;

/**
 * `crm/web-0 crm/db:5432`, `crm/web → world:443`, `crm/web-0 '[2001:db8::1]:53/udp'`.
 * @throws WeftError `usage`.
 */
export function connectionOf(words: readonly string[]): ConnectionQuestion {
  const [from, target, ...rest] = words
    .flatMap((word) => word.split(/\s+/))
    .filter((word) => !ARROWS.has(word));
  const { to, port, protocol } = TARGET.exec(target ?? '')?.groups ?? {};
  if (from === undefined || to === undefined || rest.length > 0 || Number(port) > 65_535)
    throw new WeftError('usage', 'a connection is given as A B:PORT', {
      remedy: 'For example: weft net why crm/web-0 crm/db:5432, or: weft net why world crm/web:80',
    });
  return { from, to, port: Number(port), protocol: protocol === 'udp' ? 'udp' : 'tcp' };
}
