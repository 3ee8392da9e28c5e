import type { NamesGoal } from '../protocol/index.ts';

/** Nobody copies the zone; the figures are there because a zone must have them. Seconds. */
const UNUSED = { refresh: 3600, retry: 600, expire: 86_400 };
/** The name server itself: applications begin with a letter, so none has this name. */
const NAME_SERVER = '1ns';

/**
 * The zone as a file (RFC 1035, section 5). Each name server has a copy of its own, made from the goal: none is transferred.
 * @param addresses of the name server itself.
 * @param serial grows whenever something else of it does.
 */
export function composeZone(goal: NamesGoal, addresses: readonly string[], serial: number): string {
  const { zone, ttlSeconds } = goal;
  const { refresh, retry, expire } = UNUSED;
  // What is not there is forgotten by resolvers as fast as what was.
  const soa = `${NAME_SERVER}.${zone}. hostmaster.${zone}. ${serial} ${refresh} ${retry} ${expire} ${ttlSeconds}`;
  return [
    `$ORIGIN ${zone}.`,
    `$TTL ${ttlSeconds}`,
    `@ SOA ${soa}`,
    `@ NS ${NAME_SERVER}`,
    ...addresses.map((address) => `${NAME_SERVER} ${address.includes(':') ? 'AAAA' : 'A'} ${address}`),
    ...goal.records.map(({ name, type, data }) => `${name} ${type} ${data}`).sort(),
    '',
  ].join('\n');
}

const SOA_LINE = /^@ SOA \S+ \S+ (\d+) /m;

/** Serial of a zone file of ours; null: it is none. */
export function serialOf(text: string): number | null {
  const serial = SOA_LINE.exec(text)?.[1];
  return serial === undefined ? null : Number(serial);
}

/**
 * The file that is to follow this one: the same one where nothing differs but its serial.
 * @param before null: there is none. @param nowMs serials are seconds, so that they grow also where an older file was lost.
 */
export function nextZone(
  goal: NamesGoal,
  addresses: readonly string[],
  before: string | null,
  nowMs: number,
): string {
  const known = before === null ? null : serialOf(before);
  if (known !== null && composeZone(goal, addresses, known) === before) return before;
  return composeZone(goal, addresses, Math.max(Math.floor(nowMs / 1_000), (known ?? 0) + 1));
}
