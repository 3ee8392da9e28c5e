import { WeftError } from '../../agent/kit/errors.ts';
import type { FleetRecord } from './records.ts';

/** Domain under which everything of a fleet has its name, when it is not told another one. */
export const DEFAULT_ZONE = 'weft.internal';

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** Names of guests stand before it: `web-0`, a role and an application of 40 characters each. */
const LONGEST = 120;
/** What these mean is settled, and that is not a name server of ours (RFC 6761, RFC 6762, RFC 7686, RFC 9476). */
const SETTLED: readonly string[] = ['local', 'localhost', 'invalid', 'onion', 'arpa', 'alt'];
/** Top-level domains that are nobody's (RFC 8375 has home.arpa; ICANN reserved `internal`): of all others a single label is the world's. */
const PRIVATE: readonly string[] = ['internal', 'lan', 'home', 'corp', 'intern', 'private', 'test', 'weft'];

export const zoneOf = ({ zone }: Pick<FleetRecord, 'zone'>): string => zone ?? DEFAULT_ZONE;

/**
 * @param text of the controller's option `--zone`.
 * @param own domains in which this machine itself looks names up: its own, and those of its resolver.
 * @throws WeftError `usage` that names the zone and what it collides with.
 */
export function parseZone(text: string, own: readonly string[]): string {
  const zone = text.toLowerCase().replace(/\.$/, '');
  const labels = zone.split('.');
  const last = labels.at(-1) ?? '';
  if (zone.length > LONGEST || labels.some((label) => !LABEL.test(label)) || /^\d+$/.test(last))
    throw refusal(`zone ${JSON.stringify(text)} is no domain of up to ${LONGEST} characters`);
  if (SETTLED.includes(last)) throw refusal(`zone ${zone} collides with ${last}, which means something else`);
  if (labels.length === 1 && !PRIVATE.includes(zone))
    throw refusal(`zone ${zone} collides with the public top-level domain ${zone}`);
  const taken = own
    .map((domain) => domain.toLowerCase().replace(/\.$/, ''))
    .find((domain) => covers(zone, domain));
  if (taken !== undefined)
    throw refusal(`zone ${zone} collides with ${taken}, the domain in which this machine looks names up`);
  return zone;
}

/** Names of the domain would be names of the zone, which knows none of them. */
const covers = (zone: string, domain: string): boolean => domain === zone || domain.endsWith(`.${zone}`);

const refusal = (message: string) =>
  new WeftError('usage', message, {
    remedy: `Choose a domain that is nobody's, such as ${DEFAULT_ZONE}, or one below your own that nothing else serves: --zone vms.example.com.`,
  });
