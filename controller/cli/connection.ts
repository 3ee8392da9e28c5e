import { WeftError } from '../../agent/kit/errors.ts';
import type { ConnectionQuestion } from '../client/types.ts';

const ARROWS: ReadonlySet<string> = new Set(['→', '->', 'to']);
/** `crm/db:5432`, `world:53/udp`, `[2001:db8::1]:443`. */
const TARGET = /^(?<to>\[[^[\]]+\]|[^:[\]]+)(?::(?<port>[^:/]*)(?:\/(?<protocol>.*))?)?$/;
const HIGHEST_PORT = 65_535;

/**
 * `crm/web-0 crm/db:5432`, `crm/web → world:443`, `crm/web-0 '[2001:db8::1]:53/udp'`.
 * @throws WeftError `usage`.
 */
export function connectionOf(words: readonly string[]): ConnectionQuestion {
  const [from, target, ...rest] = words
    .flatMap((word) => word.split(/\s+/))
    .filter((word) => word !== '' && !ARROWS.has(word));
  if (from === undefined || target === undefined || rest.length > 0)
    throw wrong('a connection is given as A B:PORT');
  const { to, port, protocol } = TARGET.exec(target)?.groups ?? {};
  if (to === undefined)
    throw wrong(
      /:.*:/.test(target)
        ? `${target} does not say where its port begins: an IPv6 address is written in brackets, [ADDRESS]:PORT`
        : `${target} is no end of a connection: it is given as A B:PORT`,
    );
  return { from, to, port: portOf(target, port ?? ''), protocol: protocolOf(protocol) };
}

function portOf(target: string, text: string): number {
  if (text === '') throw wrong(`${target} has no port: a connection is given as A B:PORT`);
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > HIGHEST_PORT)
    throw wrong(`port ${text} is none: ports are whole numbers from 1 to ${HIGHEST_PORT}`);
  if (text !== String(port)) throw wrong(`port ${text} is written without zeros before it: ${port}`);
  return port;
}

function protocolOf(text = 'tcp'): ConnectionQuestion['protocol'] {
  if (text === 'tcp' || text === 'udp') return text;
  throw wrong(`protocol ${JSON.stringify(text)} is not known here: tcp or udp`);
}

const wrong = (message: string): WeftError =>
  new WeftError('usage', message, {
    remedy: 'For example: weft net why crm/web-0 crm/db:5432, or: weft net why world crm/web:80',
  });
