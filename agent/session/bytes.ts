import { request } from 'node:https';
import type { Duplex } from 'node:stream';
import { takeOver } from '../kit/upgrade.ts';
import { BYTES_HEADERS } from '../protocol/index.ts';
import type { Identity } from './identity.ts';
import { splitAddress } from './join.ts';

/**
 * A connection to the controller's port that carries bytes as they are, under this host's identity. No frames and no masks: what goes
 * over it is measured in gigabytes.
 * @throws WeftError `host-unreachable` with the controller's words.
 */
export function dialBytes(identity: Identity, path: string, limitMs: number): Promise<Duplex> {
  const [host, port] = splitAddress(identity.controller);
  const call = request({
    ...{ host, port, path, agent: false, timeout: limitMs },
    ...{ ca: identity.ca, cert: identity.certificate, key: identity.key },
    headers: BYTES_HEADERS,
  });
  return takeOver(call, { for: path, of: 'the controller' });
}
