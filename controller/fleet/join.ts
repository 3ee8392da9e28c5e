import { WeftError } from '../../agent/kit/errors.ts';
import { NAME_PATTERN } from '../../agent/kit/names.ts';
import type { JoinRequest, JoinResponse } from '../../agent/protocol/index.ts';
import type { HostRecord } from '../model/records.ts';
import { fingerprintOf } from './authority.ts';
import type { FleetServerOptions } from './options.ts';

/**
 * Takes a host into the fleet. The token is used up and the host written down in one transaction: a token joins one host, once.
 * @throws `bad-request` for a name that is none, `unauthorized` for a token that is none or was used.
 */
export async function join(options: FleetServerOptions, body: JoinRequest): Promise<JoinResponse> {
  const { tokens, clock, store, log } = options;
  if (!NAME_PATTERN.test(body.hostName))
    throw new WeftError('bad-request', `${body.hostName} cannot be a host's name: it is no DNS label`);
  const token = await tokens.findJoin(body.token, clock.now());
  // One instant for both: the certificate counts from the join on, however long the signing takes.
  const nowMs = clock.now();
  const response = await certify(options, body.csr, body.hostName, nowMs);
  const key = `hosts/${body.hostName}`;
  const known = (await store.get(key))?.value as HostRecord | undefined;
  const result = await store.transact({
    checks: [token],
    puts: [{ key, value: joined(known, body.hostName, fingerprintOf(response.certificate), nowMs) }],
    deletes: [token.key, `removed/${body.hostName}`],
  });
  if (!result.committed)
    throw new WeftError('unauthorized', 'this join token was used in this moment by another host');
  log.info({ host: body.hostName }, 'a host joined');
  return response;
}

/** A certificate for a host whose identity was shown. */
export async function certify(
  { authority, fleet }: FleetServerOptions,
  csr: string,
  hostName: string,
  nowMs: number,
): Promise<JoinResponse> {
  const certificate = await authority.issueHost(csr, hostName, nowMs);
  return { fleet: fleet.uuid, hostName, certificate, ca: authority.ca };
}

/** What is known of the host from before stays known; what it says anew in its first session is not relied on until then. */
export const joined = (
  known: HostRecord | undefined,
  name: string,
  certificateFingerprint: string,
  nowMs: number,
): HostRecord => ({
  ...(known ?? unknownHost(name, nowMs)),
  guard: null,
  joinedAtMs: nowMs,
  certificateFingerprint,
});

const unknownHost = (
  name: string,
  nowMs: number,
): Omit<HostRecord, 'joinedAtMs' | 'certificateFingerprint'> => ({
  name,
  state: 'joining',
  evidence: 'it has joined and is not in session yet',
  ...{ proof: null, fencing: null, downsAtMs: [], heldOffUntilMs: null, superseded: {} },
  ...{ draining: false, drain: null, mode: 'in-service' },
  ...{ facts: null, offer: null, bootId: null },
  stateSinceMs: nowMs,
});
